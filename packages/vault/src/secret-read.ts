import {
  type Bytes,
  bytesEqual,
  CryptoError,
  decryptionFailed,
  isCryptoError,
} from "@lango/crypto-core";
import { openValue } from "@lango/envelope";
import type { SecretRow } from "@lango/store";
import { type CheckSecret, createSecretCheck } from "./checked-rows.ts";
import type { VaultContext } from "./context.ts";
import type { DataKeys } from "./data-keys.ts";
import { recordAad, SECRETS } from "./names.ts";
import { noSecret } from "./secret-write.ts";

/** A value before its read is audited: it may not be given out yet. */
export interface OpenedSecret {
  readonly row: SecretRow;
  readonly version: number;
  readonly value: Bytes;
}

/** Reads secrets and audits nothing; that is for those who use it. */
export interface SecretReader {
  readonly check: CheckSecret;
  /** Opens the current version, or another. @throws {@link CryptoError} `ERR_NOT_FOUND`, `ERR_INTEGRITY`. */
  read(name: string, version: number | undefined): Promise<OpenedSecret>;
  /** The row of a live secret. @throws {@link CryptoError} `ERR_NOT_FOUND`, `ERR_INTEGRITY`. */
  describe(name: string): Promise<SecretRow>;
}

/** Each needs a whole rotation between two statements. */
const MAX_ATTEMPTS = 3;

export const createSecretReader = (
  { store, vaultId, keys }: VaultContext,
  dataKeys: Pick<DataKeys, "opener">,
): SecretReader => {
  const check = createSecretCheck(keys.rows);

  const openSealed = async (
    name: string,
    version: number,
    dataKeyId: string,
    sealed: Uint8Array,
  ): Promise<Bytes> => {
    // By the row, not by the header: a header that names another data key does not open with this one.
    const dataKey = await dataKeys.opener(dataKeyId, sealed.length);
    return openValue(dataKey, sealed, recordAad(vaultId, SECRETS, name, version));
  };

  const describe: SecretReader["describe"] = async (name) => {
    const row = await store.secrets.describe(SECRETS, name);
    if (!row) throw noSecret(name);
    check(row);
    if (row.deletedAt !== null) throw noSecret(name);
    return row;
  };

  /** The slow way, which finds a secret without its current version too. */
  const readVersion: SecretReader["read"] = async (name, version) => {
    for (;;) {
      const row = await describe(name);
      const wanted = version ?? row.currentVersion;
      const found = await store.secrets.findVersion(row.id, wanted);
      if (found) {
        const value = await openSealed(name, wanted, found.dataKeyId, found.sealed);
        return { row, version: wanted, value };
      }
      if (wanted !== row.currentVersion) {
        throw new CryptoError("ERR_NOT_FOUND", `Secret ${name} has no version ${version}`);
      }
      // Gone, unless another process wrote or deleted the secret between the two reads.
      const now = await describe(name);
      if (bytesEqual(now.mac, row.mac)) throw versionLost(name, wanted);
    }
  };

  const readOnce: SecretReader["read"] = async (name, version) => {
    const current = await store.secrets.find(SECRETS, name);
    const isWanted = version === undefined || version === current?.currentVersion;
    if (!current || current.deletedAt !== null || !isWanted) return readVersion(name, version);
    check(current);
    const { currentVersion, dataKeyId, sealed } = current;
    const value = await openSealed(name, currentVersion, dataKeyId, sealed);
    return { row: current, version: currentVersion, value };
  };

  return {
    check,
    describe,
    async read(name, version) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await readOnce(name, version);
        } catch (error) {
          if (!isCryptoError(error) || error.code !== "ERR_KEY_RETIRED") throw error;
          // Sealed again after its row was read, by a rotation that has ended since: the row has another data key now.
          if (attempt === MAX_ATTEMPTS) throw decryptionFailed("Its data key was destroyed");
        }
      }
    },
  };
};

const versionLost = (name: string, version: number): CryptoError =>
  new CryptoError("ERR_INTEGRITY", `Secret ${name} has lost its current version, ${version}`, {
    context: { hint: `Go back to a kept one: lango security secrets rollback ${name} --version N` },
  });
