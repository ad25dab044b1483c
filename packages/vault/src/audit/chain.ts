import { createHash, createHmac, type KeyObject } from "node:crypto";
import { type Bytes, bytesEqual, toPlain, utf8 } from "@lango/crypto-core";
import { parts } from "@lango/envelope";
import type { AuditHead, AuditRow } from "@lango/store";

/** What MACs the rows of the chain; sealed in the vault row, so that it outlives a new vault key. */
export interface AuditKey {
  readonly key: KeyObject;
  readonly epoch: number;
}

const AUDIT_KEY = utf8("lango/v1/audit-key");

/** What the sealed audit key is bound to: parts(`lango/v1/audit-key`, vault id, epoch in decimal). */
export const auditKeyAad = (vaultId: Uint8Array, epoch: number): Bytes =>
  parts(AUDIT_KEY, vaultId, utf8(String(epoch)));

/** hash = SHA-256(prev ‖ JCS(entry)). */
export const linkHash = (prev: Uint8Array, entry: string): Bytes =>
  toPlain(createHash("sha256").update(prev).update(entry, "utf8").digest());

export const linkMac = (key: KeyObject, hash: Uint8Array): Bytes =>
  toPlain(createHmac("sha256", key).update(hash).digest());

/** Whether a row says what this vault wrote into it, wherever it stands in the chain. */
export const isOurs = ({ prev, entry, hash, mac, epoch }: AuditRow, audit: AuditKey): boolean =>
  epoch === audit.epoch &&
  bytesEqual(linkHash(prev, entry), hash) &&
  bytesEqual(linkMac(audit.key, hash), mac);

/** The rows that follow a head. */
export const nextRows = (
  head: AuditHead,
  entries: readonly string[],
  audit: AuditKey,
): AuditRow[] => {
  let { seq, hash: prev } = head;
  return entries.map((entry) => {
    const hash = linkHash(prev, entry);
    seq += 1;
    const row = { seq, prev, hash, mac: linkMac(audit.key, hash), epoch: audit.epoch, entry };
    prev = hash;
    return row;
  });
};
