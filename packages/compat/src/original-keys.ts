import { createHmac, type KeyObject } from "node:crypto";
import {
  type Bytes,
  bytesEqual,
  CryptoError,
  createAesKey,
  isCryptoError,
  NONCE_BYTES,
  openAesGcm,
  toPlain,
  zero,
} from "@lango/crypto-core";
import { derive, EMPTY, ITERATIONS } from "./original-envelope.ts";
import type { SecurityState } from "./original-schema.ts";

const SALT_BYTES = 16;

/** The key of the values, and whether the passphrase fits the checksum beside its salt. */
export interface LegacyKey {
  readonly key: KeyObject;
  /** `undefined`: there is none, as in the oldest databases. */
  readonly fits: boolean | undefined;
}

/**
 * The key of a database without an envelope: PBKDF2-HMAC-SHA-256 over the salt of its default row. The checksum is HMAC-SHA-256
 * of the passphrase, keyed with the salt.
 *
 * @throws CryptoError `ERR_INTEGRITY` without a salt of 16 bytes.
 */
export async function legacyKey(
  file: string,
  passphrase: Uint8Array,
  { salt, checksum }: SecurityState,
): Promise<LegacyKey> {
  if (salt?.length !== SALT_BYTES) {
    throw new CryptoError("ERR_INTEGRITY", `${file} has no salt of ${SALT_BYTES} bytes`, {
      context: {
        hint: "Without it no passphrase is of use; a newer original has it in envelope.json, which belongs beside the database.",
      },
    });
  }
  const derived = await derive(file, passphrase, toPlain(salt), ITERATIONS);
  try {
    const expected = createHmac("sha256", salt).update(passphrase).digest();
    const fits = checksum === undefined ? undefined : bytesEqual(expected, checksum);
    return { key: createAesKey(derived), fits };
  } finally {
    zero(derived);
  }
}

/** Opens nonce (12) ‖ ciphertext ‖ tag (16), without AAD; `undefined` when no key fits. */
export function openSealed(keys: readonly KeyObject[], sealed: Uint8Array): Bytes | undefined {
  if (sealed.length < NONCE_BYTES) return undefined;
  for (const key of keys) {
    try {
      return openAesGcm(key, sealed.subarray(0, NONCE_BYTES), EMPTY, sealed.subarray(NONCE_BYTES));
    } catch (error) {
      if (!isCryptoError(error) || error.code !== "ERR_DECRYPTION_FAILED") throw error;
    }
  }
  return undefined;
}
