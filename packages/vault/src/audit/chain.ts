import { createHash, createHmac, type KeyObject } from "node:crypto";
import { type Bytes, bytesEqual, toPlain, utf8 } from "@lango/crypto-core";
import { parts } from "@lango/envelope";
import type { AuditHead, AuditRow, StoreTransaction } from "@lango/store";
import { vaultKeyChanged } from "../failures.ts";

/** What MACs the rows of the chain; sealed in the vault row, so that it outlives a new vault key. */
export interface AuditKey {
  /** Of the epoch of now. */
  readonly key: KeyObject;
  /** From 1; one more with each new vault key. */
  readonly epoch: number;
  /** Of the epochs before, the first one first: they check old rows and write none. */
  readonly former: readonly KeyObject[];
  /** Whether this opening has added a row. From then on the last row is of this key, or somebody else's. */
  hasWritten?: boolean;
}

const AUDIT_KEY = utf8("lango/v1/audit-key");

/** @throws {@link CryptoError} `ERR_LOCKED` when the vault key was changed, or is being changed, by another process. */
export const checkEpoch = ({ epoch }: AuditHead, audit: AuditKey): void => {
  if (epoch !== audit.epoch) throw vaultKeyChanged();
};

/** What the sealed audit key is bound to: parts(`lango/v1/audit-key`, vault id, epoch in decimal). */
export const auditKeyAad = (vaultId: Uint8Array, epoch: number): Bytes =>
  parts(AUDIT_KEY, vaultId, utf8(String(epoch)));

/** The key of an epoch; `undefined` for one that this vault has not had. */
export const keyOfEpoch = (audit: AuditKey, epoch: number): KeyObject | undefined =>
  epoch === audit.epoch ? audit.key : audit.former[epoch - 1];

/** hash = SHA-256(prev ‖ JCS(entry)). */
export const linkHash = (prev: Uint8Array, entry: string): Bytes =>
  toPlain(createHash("sha256").update(prev).update(entry, "utf8").digest());

export const linkMac = (key: KeyObject, hash: Uint8Array): Bytes =>
  toPlain(createHmac("sha256", key).update(hash).digest());

/** Whether a row says what this vault wrote into it, wherever it stands in the chain. */
export const isOurs = ({ prev, entry, hash, mac, epoch }: AuditRow, audit: AuditKey): boolean => {
  const key = keyOfEpoch(audit, epoch);
  return (
    key !== undefined &&
    bytesEqual(linkHash(prev, entry), hash) &&
    bytesEqual(linkMac(key, hash), mac)
  );
};

/**
 * Adds entries after the head, under its lock. Every change of the vault does, so this is also what keeps a process from writing that
 * has the vault open with a vault key from before: the head is of another epoch then. Whoever writes the database could set that back,
 * but has no key for the last row: its MAC must be of the key of now. Not at the first row of an opening, which has just found its
 * slots in force: a log whose end is damaged takes rows again from then on, and `verify` names the damage.
 *
 * @param entries - Called once the head is locked: who waits for it stamps its entries after those of whoever went before.
 * @returns The number of the last row; 0 for no entries.
 * @throws {@link CryptoError} `ERR_LOCKED` when the head is of another epoch; `ERR_INTEGRITY` when the last row is of another key.
 */
export const appendEntries = async (
  { audit: table }: Pick<StoreTransaction, "audit">,
  entries: () => readonly string[],
  audit: AuditKey,
): Promise<number> => {
  const head = await table.lockHead();
  checkEpoch(head, audit);
  let { seq, hash: prev } = head;
  const rows = entries().map((entry) => {
    const hash = linkHash(prev, entry);
    seq += 1;
    const row = { seq, prev, hash, mac: linkMac(audit.key, hash), epoch: audit.epoch, entry };
    prev = hash;
    return row;
  });
  await table.append(rows, audit.hasWritten ? linkMac(audit.key, head.hash) : undefined);
  audit.hasWritten = true;
  return rows.at(-1)?.seq ?? 0;
};
