import { createSecretKey } from "node:crypto";
import { type Bytes, CryptoError, concat, randomBytesFresh, zero } from "@lango/crypto-core";
import { openValue, sealValue, type VaultKeys } from "@lango/envelope";
import type { VaultRow } from "@lango/store";
import { type AuditKey, auditKeyAad } from "./chain.ts";

const KEY_BYTES = 32;

/** Columns of the vault row that hold the audit keys. */
export type SealedAuditKeys = Pick<VaultRow, "auditKey" | "auditEpoch">;

type Wrapping = { readonly keys: Pick<VaultKeys, "wrap">; readonly vaultId: Uint8Array };

/** The audit key of a new vault. */
export const firstAuditKey = (wrapping: Wrapping): SealedAuditKeys =>
  sealWithNext(wrapping, new Uint8Array());

/**
 * The audit keys for a new vault key: those of all epochs until now, and one that no holder of the old vault key has.
 *
 * @param from - The vault key of now.
 * @param to - The new one.
 */
export const nextAuditKey = (
  from: Wrapping,
  to: Wrapping,
  row: SealedAuditKeys,
): SealedAuditKeys => {
  const known = openKeys(from, row);
  try {
    return sealWithNext(to, known);
  } finally {
    zero(known);
  }
};

/** LNG1 of the keys of all epochs, 32 bytes each, the first one first. */
const sealWithNext = ({ keys, vaultId }: Wrapping, known: Uint8Array): SealedAuditKeys => {
  const auditEpoch = known.length / KEY_BYTES + 1;
  const fresh = randomBytesFresh(KEY_BYTES);
  const all = concat(known, fresh);
  try {
    return { auditKey: sealValue(keys.wrap, all, auditKeyAad(vaultId, auditEpoch)), auditEpoch };
  } finally {
    zero(fresh, all);
  }
};

/** @throws {@link CryptoError} `ERR_DECRYPTION_FAILED` for another vault key; `ERR_INTEGRITY`. */
export const openAuditKey = (wrapping: Wrapping, row: SealedAuditKeys): AuditKey => {
  const all = openKeys(wrapping, row);
  try {
    const objects = Array.from({ length: row.auditEpoch }, (_, index) =>
      createSecretKey(all.subarray(index * KEY_BYTES, (index + 1) * KEY_BYTES)),
    );
    const key = objects.at(-1);
    if (!key) throw wrongCount(row);
    return { key, epoch: row.auditEpoch, former: objects.slice(0, -1) };
  } finally {
    zero(all);
  }
};

const openKeys = ({ keys, vaultId }: Wrapping, row: SealedAuditKeys): Bytes => {
  const all = openValue(keys.wrap, row.auditKey, auditKeyAad(vaultId, row.auditEpoch));
  if (all.length === KEY_BYTES * row.auditEpoch) return all;
  zero(all);
  throw wrongCount(row);
};

const wrongCount = ({ auditEpoch }: SealedAuditKeys): CryptoError =>
  new CryptoError("ERR_INTEGRITY", `The audit keys are not those of epochs 1 to ${auditEpoch}`);
