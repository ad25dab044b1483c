import { type Bytes, zero } from "@lango/crypto-core";
import { type DataKey, type RowsKeys, sealValues } from "@lango/envelope";
import type { SealedVersion, VersionOfSecret } from "@lango/store";
import { sha256Hex } from "./rows.ts";
import { aadOf, checkKept, openVersion } from "./sealed-version.ts";

// What a rotation does with a batch of versions between reading and writing. It needs no database, so another thread may do it.

export interface ResealWork {
  readonly vaultId: Bytes;
  readonly rowsKeys: RowsKeys;
  readonly from: DataKey;
  readonly to: DataKey;
  readonly versions: readonly VersionOfSecret[];
}

export interface Resealed {
  readonly sealed: Bytes;
  /** SHA-256 of `sealed` in hex: what the log keeps of it. */
  readonly hash: string;
}

/**
 * Checks, opens and seals again.
 *
 * @throws {@link CryptoError} `ERR_DECRYPTION_FAILED` or `ERR_INTEGRITY`, with the name, for the first that is not as lango wrote it.
 */
export const resealVersions = (work: ResealWork): Resealed[] => {
  const { rowsKeys, from, to, versions } = work;
  const values: { plaintext: Bytes; aad: Bytes }[] = [];
  try {
    for (const row of versions) {
      checkKept(rowsKeys, row);
      const aad = aadOf(work, row);
      values.push({ plaintext: openVersion(row, from, aad), aad });
    }
    return sealValues(to, values).map((sealed) => ({ sealed, hash: sha256Hex(sealed) }));
  } finally {
    for (const { plaintext } of values) zero(plaintext);
  }
};

export interface OpenWork {
  readonly vaultId: Bytes;
  /** By id; every data key that `versions` name. */
  readonly dataKeys: ReadonlyMap<string, DataKey>;
  readonly versions: readonly SealedVersion[];
}

/**
 * Opens all of them, and forgets what is in them.
 *
 * @throws {@link CryptoError} `ERR_DECRYPTION_FAILED`, with the name, for the first that does not open.
 */
export const openVersions = (work: OpenWork): void => {
  for (const row of work.versions) {
    zero(openVersion(row, work.dataKeys.get(row.dataKeyId)!, aadOf(work, row)));
  }
};
