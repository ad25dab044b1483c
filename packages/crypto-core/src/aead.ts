import type { KeyObject } from "node:crypto";
import { toPlain } from "./bytes.ts";
import { CryptoError, decryptionFailed } from "./errors.ts";
import { nodeCrypto } from "./node-crypto.ts";
import type { Bytes } from "./provider.ts";

// AES-256-GCM (NIST SP 800-38D), the one place in Lango that calls a cipher.

/** SP 800-38D §8.2: 96-bit nonces, the only length that needs no hashing of its own. */
export const NONCE_BYTES = 12;
/** The full tag. Shorter ones are refused everywhere. */
export const TAG_BYTES = 16;
export const AES_KEY_BYTES = 32;

/** What `update` of a Node cipher takes at once. */
const MAX_UPDATE_BYTES = 2 ** 31 - 1;

const ALGORITHM = "aes-256-gcm";
// Without it Node accepts a tag of 4 bytes when it decrypts.
const TAG_LENGTH = { authTagLength: TAG_BYTES } as const;

/**
 * Makes a key for {@link sealAesGcmInto} and {@link openAesGcm}. Make it once per key: with raw bytes each call costs
 * three times as much.
 *
 * @param bytes - 32 bytes, copied; the caller may zero them.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for another length.
 */
export const createAesKey = (bytes: Uint8Array): KeyObject => {
  checkLength("AES key", bytes, AES_KEY_BYTES);
  return nodeCrypto().createSecretKey(bytes);
};

/**
 * Encrypts and authenticates; writes ciphertext ‖ tag (`plaintext.length + 16` bytes) into `out` at `offset`.
 *
 * The caller writes its own header into `out`, so that a sealed value costs one allocation. `plaintext` may lie in
 * `out` itself.
 *
 * @param nonce - 12 bytes, never used before under this key (SP 800-38D §8: a repeat gives the key of the tag away).
 *   Random ones: at most 2^32 per key (§8.3).
 * @param aad - Authenticated, not encrypted; may be empty.
 * @param plaintext - 0 to 2^31 − 1 bytes.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a length out of range or an `out` that is too small.
 */
export const sealAesGcmInto = (
  key: KeyObject,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
  out: Uint8Array,
  offset: number,
): void => {
  checkLength("AES-GCM nonce", nonce, NONCE_BYTES);
  checkUpdate("Plaintext", plaintext);
  if (offset + plaintext.length + TAG_BYTES > out.length) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      `Output has ${out.length - offset} bytes for ${plaintext.length + TAG_BYTES}`,
    );
  }
  const cipher = nodeCrypto().createCipheriv(ALGORITHM, key, nonce, TAG_LENGTH);
  cipher.setAAD(aad);
  out.set(cipher.update(plaintext), offset);
  cipher.final();
  out.set(cipher.getAuthTag(), offset + plaintext.length);
};

/**
 * Opens what {@link sealAesGcmInto} made. Nothing of the plaintext is released unless the tag is right.
 *
 * @param nonce - The 12 bytes it was sealed with.
 * @param ciphertextAndTag - 16 to 2^31 + 15 bytes.
 * @throws {@link CryptoError} `ERR_DECRYPTION_FAILED` for a wrong key, nonce or AAD and altered or missing bytes alike;
 *   `ERR_INVALID_ARGUMENT` for a nonce of another length.
 */
export const openAesGcm = (
  key: KeyObject,
  nonce: Uint8Array,
  aad: Uint8Array,
  ciphertextAndTag: Uint8Array,
): Bytes => {
  checkLength("AES-GCM nonce", nonce, NONCE_BYTES);
  const length = ciphertextAndTag.length - TAG_BYTES;
  if (length < 0) throw decryptionFailed("It is too short for a tag");
  const ciphertext = ciphertextAndTag.subarray(0, length);
  checkUpdate("Ciphertext", ciphertext);
  const decipher = nodeCrypto().createDecipheriv(ALGORITHM, key, nonce, TAG_LENGTH);
  decipher.setAAD(aad);
  decipher.setAuthTag(ciphertextAndTag.subarray(length));
  const plaintext = decipher.update(ciphertext);
  try {
    decipher.final();
  } catch {
    plaintext.fill(0);
    throw decryptionFailed("The tag does not fit");
  }
  return toPlain(plaintext);
};

const checkLength = (what: string, bytes: Uint8Array, length: number): void => {
  if (bytes.length !== length) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      `${what} has ${bytes.length} bytes, not ${length}`,
    );
  }
};

const checkUpdate = (what: string, bytes: Uint8Array): void => {
  if (bytes.length > MAX_UPDATE_BYTES) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      `${what} has ${bytes.length} bytes, more than ${MAX_UPDATE_BYTES}`,
    );
  }
};
