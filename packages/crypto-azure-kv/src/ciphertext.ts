import { type Bytes, concat, decryptionFailed, utf8, zero } from "@lango/crypto-core";
import { isVersion } from "./key-id.ts";

/**
 * RSA ciphertexts name neither key nor version, and after a rotation the current version does not open them. So they
 * get a header:
 *
 * | offset | bytes | field |
 * |---|---|---|
 * | 0 | 4 | `LAK1` |
 * | 4 | 1 | 1 = RSA-OAEP with SHA-256 and MGF1-SHA-256 (RFC 8017 §7.1) |
 * | 5 | 1 | v, the length of the version |
 * | 6 | v | version, ASCII |
 * | 6 + v | k | what the service gave, as long as the modulus |
 *
 * What is encrypted is one byte for the purpose, then the plaintext. So a wrapped key is no ciphertext, although the
 * service has one computation for both, and an empty plaintext is never sent.
 */
const MAGIC = utf8("LAK1");
const RSA_OAEP_256 = 1;
const PURPOSES = { encrypt: 1, wrap: 2 } as const;
const HEADER_BYTES = MAGIC.length + 2;

export type Purpose = keyof typeof PURPOSES;

/** Bytes that the purpose takes from the plaintext. */
export const PURPOSE_BYTES = 1;

/** The bytes to encrypt; the caller zeroes them. */
export const addPurpose = (purpose: Purpose, plaintext: Uint8Array): Bytes =>
  concat(Uint8Array.of(PURPOSES[purpose]), plaintext);

/**
 * The plaintext of what the service decrypted, which is zeroed.
 *
 * @throws {@link CryptoError} `ERR_DECRYPTION_FAILED` if it was encrypted for another purpose.
 */
export function takePurpose(purpose: Purpose, decrypted: Uint8Array): Bytes {
  try {
    // OAEP is non-malleable (RFC 8017 §7.1): nobody without the plaintext changes its first byte.
    if (decrypted[0] === PURPOSES[purpose]) return new Uint8Array(decrypted.subarray(1));
    throw decryptionFailed("It was made for another purpose");
  } finally {
    zero(decrypted);
  }
}

/** Puts the header in front. */
export const frame = (version: string, encrypted: Uint8Array): Bytes =>
  concat(MAGIC, Uint8Array.of(RSA_OAEP_256, version.length), utf8(version), encrypted);

/**
 * Takes the header off.
 *
 * @throws {@link CryptoError} `ERR_DECRYPTION_FAILED` for bytes without one.
 */
export function unframe(framed: Uint8Array): { version: string; encrypted: Uint8Array } {
  const length = framed[HEADER_BYTES - 1] ?? 0;
  const isOurs = MAGIC.every((byte, index) => framed[index] === byte);
  const version = Buffer.from(framed.subarray(HEADER_BYTES, HEADER_BYTES + length)).toString(
    "latin1",
  );
  if (!isOurs || framed[MAGIC.length] !== RSA_OAEP_256 || !isVersion(version)) {
    throw decryptionFailed("It does not begin with the header of this provider");
  }
  if (version.length !== length) throw decryptionFailed("It ends within its header");
  return { version, encrypted: framed.subarray(HEADER_BYTES + length) };
}
