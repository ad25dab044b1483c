import { type Bytes, CryptoError, isCryptoError } from "@lango/crypto-core";
import { type DataKey, openValue } from "@lango/envelope";
import type { SealedVersion } from "@lango/store";
import { versionRowName } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import { KEPT_VERSIONS, recordAad } from "./names.ts";
import { checkRow } from "./rows.ts";

type Context = Pick<VaultContext, "keys" | "vaultId">;

export const aadOf = (
  { vaultId }: Pick<Context, "vaultId">,
  { collection, name, version }: SealedVersion,
): Bytes => recordAad(vaultId, collection, name, version);

/**
 * Opens a kept version for work on all of them. Its secret must be sound and keep that version: what was pruned or deleted, and is
 * back, must not pass for what lango wrote just because it was sealed again.
 *
 * @throws {@link CryptoError} `ERR_DECRYPTION_FAILED`, `ERR_INTEGRITY`, with the name of the row.
 */
export const openVersion = (context: Context, row: SealedVersion, dataKey: DataKey): Bytes => {
  checkRow(context.keys.rows, "secrets", row);
  const { version, currentVersion, deletedAt } = row;
  const isKept = version <= currentVersion && version > currentVersion - KEPT_VERSIONS;
  if (!isKept || deletedAt !== null) {
    throw new CryptoError("ERR_INTEGRITY", `${nameOf(row)} was removed, and is in the database`, {
      context: { hint: "Compare the database with the log: lango audit verify --rows" },
    });
  }
  try {
    return openValue(dataKey, row.sealed, aadOf(context, row));
  } catch (error) {
    if (!isCryptoError(error) || error.code === "ERR_CLOSED") throw error;
    // Whoever looks after the vault has to know which one it is.
    throw new CryptoError("ERR_DECRYPTION_FAILED", `${nameOf(row)} does not open`, {
      cause: error,
      context: { hint: HINT },
    });
  }
};

const HINT =
  "Every other value still opens. Put it back from a backup, or delete the secret; then: lango security rotate --resume";

const nameOf = (row: SealedVersion): string => `Version ${versionRowName(row, row.version)}`;
