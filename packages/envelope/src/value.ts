import {
  type Bytes,
  bytesEqual,
  CryptoError,
  decryptionFailed,
  fillRandomFresh,
  NONCE_BYTES,
  openAesGcm,
  randomBytesFresh,
  sealAesGcmInto,
  TAG_BYTES,
} from "@lango/crypto-core";
import { COMMITMENT_BYTES, DATA_KEY_ID_BYTES, type DataKey, subkeysOf } from "./data-key.ts";

// LNG1: "LNG1" ‖ suite ‖ 3 zeros ‖ data-key id 12 ‖ commitment 32 ‖ nonce 12 ‖ ciphertext ‖ tag 16.
const PREFIX = Uint8Array.of(0x4c, 0x4e, 0x47, 0x31, 1, 0, 0, 0);
const ID_END = PREFIX.length + DATA_KEY_ID_BYTES;
const IDENTITY_END = ID_END + COMMITMENT_BYTES;
/** Bytes before the ciphertext. */
export const VALUE_HEADER_BYTES: number = IDENTITY_END + NONCE_BYTES;

/** What sealing adds to a value. */
export const SEALED_OVERHEAD_BYTES: number = VALUE_HEADER_BYTES + TAG_BYTES;
/** Longest value, 64 MiB; more goes into a stream. */
export const MAX_VALUE_BYTES: number = 64 * 1024 * 1024;
/** Longest AAD of a sealed value or stream, 64 MiB. */
const MAX_AAD_BYTES = 64 * 1024 * 1024;

/** Which data key a sealed value wants. */
export interface ValueHeader {
  /** 12 bytes. */
  readonly dataKeyId: Bytes;
  /** 32 bytes. */
  readonly commitment: Bytes;
}

/**
 * Seals a value as LNG1 (AES-256-GCM, NIST SP 800-38D). Synchronous.
 *
 * @param plaintext - 0 to 64 MiB; not changed, not kept.
 * @param aad - 0 to 64 MiB, authenticated, not stored: pass the same bytes to {@link openValue}.
 * @returns `plaintext.length + 80` bytes; two calls give different ones.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a length out of range; `ERR_CLOSED` for a destroyed key.
 */
export const sealValue = (key: DataKey, plaintext: Uint8Array, aad: Uint8Array): Bytes =>
  sealValueWithNonce(key, plaintext, aad, undefined);

/**
 * {@link sealValue} for many values at once, whose nonces are drawn together: asking the system for one costs as much as sealing a
 * short value.
 */
export const sealValues = (
  key: DataKey,
  values: readonly { readonly plaintext: Uint8Array; readonly aad: Uint8Array }[],
): Bytes[] => {
  const nonces = randomBytesFresh(values.length * NONCE_BYTES);
  return values.map(({ plaintext, aad }, i) => {
    const nonce = nonces.subarray(i * NONCE_BYTES, (i + 1) * NONCE_BYTES);
    return sealValueWithNonce(key, plaintext, aad, nonce);
  });
};

/** {@link sealValue} with a nonce of the caller's. For test vectors: a nonce used twice gives the key of the tag away. */
export const sealValueWithNonce = (
  key: DataKey,
  plaintext: Uint8Array,
  aad: Uint8Array,
  nonce: Uint8Array | undefined,
): Bytes => {
  const { identity, value } = subkeysOf(key);
  if (plaintext.length > MAX_VALUE_BYTES) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      `A sealed value holds 64 MiB, not ${plaintext.length} bytes`,
      { context: { hint: "Seal it as a stream" } },
    );
  }
  const out = new Uint8Array(plaintext.length + SEALED_OVERHEAD_BYTES);
  out.set(PREFIX);
  out.set(identity, PREFIX.length);
  // SP 800-38D §8.3: with random 96-bit nonces at most 2^32 messages per key; the vault stops at 2^30.
  if (nonce === undefined) fillRandomFresh(out, IDENTITY_END, NONCE_BYTES);
  else out.set(nonce, IDENTITY_END);
  const written = out.subarray(IDENTITY_END, VALUE_HEADER_BYTES);
  sealAesGcmInto(value, written, boundAad(out, aad), plaintext, out, VALUE_HEADER_BYTES);
  return out;
};

/**
 * Opens what {@link sealValue} made. Synchronous.
 *
 * @param sealed - Not changed.
 * @returns The plaintext, in memory of its own.
 * @throws {@link CryptoError} `ERR_MALFORMED_ENVELOPE` if this is no LNG1, before any key is used;
 *   `ERR_DECRYPTION_FAILED` for another key, other AAD or altered bytes alike; `ERR_CLOSED` for a destroyed key.
 */
export const openValue = (key: DataKey, sealed: Uint8Array, aad: Uint8Array): Bytes => {
  checkFormat(sealed);
  const { identity, value } = subkeysOf(key);
  // AES-GCM does not commit to its key: one ciphertext can be made to open under many keys, which turns a reader that
  // tries passwords into an oracle. So the commitment comes before any decryption.
  if (!bytesEqual(identity, sealed.subarray(PREFIX.length, IDENTITY_END))) {
    throw decryptionFailed("The commitment is of another data key");
  }
  return openAesGcm(
    value,
    sealed.subarray(IDENTITY_END, VALUE_HEADER_BYTES),
    boundAad(sealed, aad),
    sealed.subarray(VALUE_HEADER_BYTES),
  );
};

/**
 * Reads which data key a sealed value wants, without opening it.
 *
 * @throws {@link CryptoError} `ERR_MALFORMED_ENVELOPE` if this is no LNG1.
 */
export const readValueHeader = (sealed: Uint8Array): ValueHeader => {
  checkFormat(sealed);
  return parseValueHeader(sealed);
};

/** {@link readValueHeader} for whoever has no more than the first 64 bytes yet. */
export const parseValueHeader = (header: Uint8Array): ValueHeader => {
  checkPrefix(header);
  return {
    dataKeyId: new Uint8Array(header.subarray(PREFIX.length, ID_END)),
    commitment: new Uint8Array(header.subarray(ID_END, IDENTITY_END)),
  };
};

const checkFormat = (sealed: Uint8Array): void => {
  const length = sealed.length - SEALED_OVERHEAD_BYTES;
  if (length < 0 || length > MAX_VALUE_BYTES) {
    throw new CryptoError(
      "ERR_MALFORMED_ENVELOPE",
      `A sealed value has 80 bytes to 64 MiB + 80, not ${sealed.length}`,
    );
  }
  checkPrefix(sealed);
};

const checkPrefix = (bytes: Uint8Array): void => {
  for (let i = 0; i < PREFIX.length; i++) {
    if (bytes[i] !== PREFIX[i]) {
      throw new CryptoError("ERR_MALFORMED_ENVELOPE", `Not a sealed value: byte ${i} of LNG1`);
    }
  }
};

// Sealing and opening run to their end without giving way to other code, so one buffer serves every call.
const scratch = new Uint8Array(1024);
const scratchView = new DataView(scratch.buffer);

/** GCM's AAD: bytes 0–51 of the header ‖ u32 length ‖ the caller's AAD. */
const boundAad = (header: Uint8Array, aad: Uint8Array): Uint8Array => {
  checkAad(aad);
  const length = IDENTITY_END + 4 + aad.length;
  const fits = length <= scratch.length;
  const bound = fits ? scratch : new Uint8Array(length);
  const view = fits ? scratchView : new DataView(bound.buffer);
  bound.set(header.subarray(0, IDENTITY_END));
  view.setUint32(IDENTITY_END, aad.length);
  bound.set(aad, IDENTITY_END + 4);
  return fits ? scratch.subarray(0, length) : bound;
};

/** @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for AAD that is too long. */
export const checkAad = (aad: Uint8Array): void => {
  if (aad.length > MAX_AAD_BYTES) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", `AAD has ${aad.length} bytes, more than 64 MiB`);
  }
};
