import { type Bytes, CryptoError, fromBase64, toBase64, zero } from "@lango/crypto-core";
import { openValue, sealValue, type VaultKeys } from "@lango/envelope";
import type { StoreReads, StoreTransaction, VaultRow } from "@lango/store";
import { nextAuditKey, type SealedAuditKeys } from "./audit/audit-keys.ts";
import type { RowChange } from "./audit/entry.ts";
import { changeOf } from "./audit/row-hashes.ts";
import { dataKeyAad, VAULT_WRAP } from "./data-key-wrap.ts";
import { materialAad } from "./local-keys.ts";
import { checkRow, withMac } from "./rows.ts";

/** A vault key that seals, or sealed. */
export interface Sealing {
  readonly keys: VaultKeys;
  /** 16 bytes. */
  readonly vaultId: Bytes;
}

/** What the vault key seals in the rows, sealed by the next one. Base64; as long as the vault has keys, not secrets. */
export interface Resealed {
  /** By the id of the data key. */
  readonly dataKeys: Readonly<Record<string, string>>;
  /** By `key id/version`. */
  readonly versions: Readonly<Record<string, string>>;
  readonly auditKey: string;
  readonly auditEpoch: number;
}

/** Seals everything that is under one vault key under another. Changes no row. */
export const resealRows = async (
  reads: StoreReads,
  from: Sealing,
  to: Sealing,
  vault: VaultRow,
): Promise<Resealed> => {
  const again = (sealed: Uint8Array, aad: Bytes): string => {
    const material = openValue(from.keys.wrap, sealed, aad);
    try {
      return toBase64(sealValue(to.keys.wrap, material, aad));
    } finally {
      zero(material);
    }
  };
  const { vaultId, keys } = from;
  const dataKeys: Record<string, string> = {};
  for (const row of await reads.dataKeys.list()) {
    checkRow(keys.rows, "data_keys", row);
    if (row.wrapUri !== VAULT_WRAP || row.wrapped.length === 0) continue;
    dataKeys[row.id] = again(row.wrapped, dataKeyAad(vaultId, row.id));
  }
  const versions: Record<string, string> = {};
  for (const { id } of await reads.keys.list()) {
    for (const row of await reads.keys.listVersions(id)) {
      checkRow(keys.rows, "key_versions", row);
      if (row.sealed === null) continue;
      const aad = materialAad(vaultId, row.keyId, row.version);
      versions[`${row.keyId}/${row.version}`] = again(row.sealed, aad);
    }
  }
  const audit = nextAuditKey(from, to, vault);
  return { dataKeys, versions, auditKey: toBase64(audit.auditKey), auditEpoch: audit.auditEpoch };
};

export const resealedAuditKeys = ({ auditKey, auditEpoch }: Resealed): SealedAuditKeys => ({
  auditKey: bytesOf(auditKey, "audit key"),
  auditEpoch,
});

/**
 * Puts what {@link resealRows} gave in the place of what the old vault key sealed.
 *
 * @throws {@link CryptoError} `ERR_INTEGRITY` for a row that is not among them: nothing would open it any more.
 */
export const putResealed = async (
  tx: StoreTransaction,
  { keys }: Sealing,
  { dataKeys, versions }: Resealed,
): Promise<RowChange[]> => {
  const changes: RowChange[] = [];
  for (const row of await tx.dataKeys.list()) {
    if (row.wrapUri !== VAULT_WRAP || row.wrapped.length === 0) continue;
    checkRow(keys.rows, "data_keys", row);
    const wrapped = bytesOf(dataKeys[row.id], `data key ${row.id}`);
    const next = withMac(keys.rows, "data_keys", { ...row, wrapped });
    await tx.dataKeys.update(next, row.mac);
    changes.push(changeOf("data_keys", next));
  }
  for (const { id } of await tx.keys.list()) {
    for (const row of await tx.keys.listVersions(id)) {
      if (row.sealed === null) continue;
      checkRow(keys.rows, "key_versions", row);
      const name = `${row.keyId}/${row.version}`;
      const sealed = bytesOf(versions[name], `key version ${name}`);
      const next = withMac(keys.rows, "key_versions", { ...row, sealed });
      await tx.keys.updateVersion(next, row.mac);
      changes.push(changeOf("key_versions", next));
    }
  }
  return changes;
};

const bytesOf = (text: string | undefined, what: string): Bytes => {
  const bytes = text === undefined ? undefined : fromBase64(text);
  if (bytes) return bytes;
  throw new CryptoError("ERR_INTEGRITY", `The change of the vault key has forgotten ${what}`);
};
