import { type Bytes, CryptoError, isCryptoError } from "@lango/crypto-core";
import { type DataKey, openValue, type RowsKeys } from "@lango/envelope";
import type { SealedVersion, VersionOfSecret } from "@lango/store";
import { versionRowName } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import { KEPT_VERSIONS, recordAad } from "./names.ts";
import { checkRow } from "./rows.ts";

export const aadOf = (
  { vaultId }: Pick<VaultContext, "vaultId">,
  { collection, name, version }: SealedVersion,
): Bytes => recordAad(vaultId, collection, name, version);

/**
 * Opens a kept version for work on all of them.
 *
 * @param aad - Of {@link aadOf}.
 * @throws {@link CryptoError} `ERR_DECRYPTION_FAILED`, with the name of the row.
 */
export const openVersion = (row: SealedVersion, dataKey: DataKey, aad: Uint8Array): Bytes => {
  try {
    return openValue(dataKey, row.sealed, aad);
  } catch (error) {
    if (!isCryptoError(error) || error.code === "ERR_CLOSED") throw error;
    throw doesNotOpen(row, error);
  }
};

/** Whoever looks after the vault has to know which one it is. */
export const doesNotOpen = (row: SealedVersion, cause: CryptoError): CryptoError =>
  new CryptoError("ERR_DECRYPTION_FAILED", `${nameOf(row)} does not open`, {
    cause,
    context: { hint: HINT },
  });

const HINT =
  "Every other value still opens. Put it back from a backup, or delete the secret; then: lango security rotate --resume";

/**
 * Whether lango keeps that version. What was pruned or deleted, and is back, still opens: sealed again and written to the log it
 * would pass for what lango wrote.
 *
 * @throws {@link CryptoError} `ERR_INTEGRITY`.
 */
export const checkKept = (rowsKeys: RowsKeys, row: VersionOfSecret): void => {
  checkRow(rowsKeys, "secrets", row);
  const { version, currentVersion, deletedAt } = row;
  const isInWindow = version <= currentVersion && version > currentVersion - KEPT_VERSIONS;
  if (isInWindow && deletedAt === null) return;
  throw new CryptoError("ERR_INTEGRITY", `${nameOf(row)} was removed, and is in the database`, {
    context: { hint: "Compare the database with the log: lango audit verify --rows" },
  });
};

const nameOf = (row: SealedVersion): string => `Version ${versionRowName(row, row.version)}`;
