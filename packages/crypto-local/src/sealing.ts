import { hkdfSync, type KeyObject } from "node:crypto";
import {
  AES_KEY_BYTES,
  type Bytes,
  concat,
  createAesKey,
  decryptionFailed,
  fillRandomFresh,
  NONCE_BYTES,
  openAesGcm,
  sealAesGcmInto,
  TAG_BYTES,
  zero,
} from "@lango/crypto-core";

// offset     bytes  field
// 0          1      purpose: 1 = made by encrypt, 2 = made by wrapKey
// 1          4      key version, big-endian
// 5          12     nonce, random
// 17         n      ciphertext, AES-256-GCM
// 17 + n     16     tag
// GCM AAD = bytes 0–4 ‖ caller's AAD. The AES key is HKDF-SHA-256 (RFC 5869) of the key's 32 bytes, without salt, with
// the info of the purpose: what one purpose sealed, the other cannot open, whatever the first byte says.
const PURPOSES = {
  encrypt: { id: 1, info: "lango/v1/local/encrypt" },
  wrap: { id: 2, info: "lango/v1/local/wrap" },
} as const;
const HEADER_BYTES = 5;
const OVERHEAD_BYTES: number = HEADER_BYTES + NONCE_BYTES + TAG_BYTES;

/** What a sealed value is for. */
export type Purpose = keyof typeof PURPOSES;

// The derived keys live exactly as long as the key object that they come from.
const derived = new WeakMap<KeyObject, Partial<Record<Purpose, KeyObject>>>();

/** Seals a plaintext under a version of a key, into `plaintext.length + 33` bytes. */
export function seal(
  purpose: Purpose,
  key: KeyObject,
  version: number,
  plaintext: Uint8Array,
  aad: Uint8Array = new Uint8Array(),
): Bytes {
  const out = new Uint8Array(plaintext.length + OVERHEAD_BYTES);
  out[0] = PURPOSES[purpose].id;
  new DataView(out.buffer).setUint32(1, version);
  // SP 800-38D §8.3: with random 96-bit nonces, at most 2^32 messages under one key.
  const start = HEADER_BYTES + NONCE_BYTES;
  fillRandomFresh(out, HEADER_BYTES, NONCE_BYTES);
  const nonce = out.subarray(HEADER_BYTES, start);
  const boundTo = concat(out.subarray(0, HEADER_BYTES), aad);
  sealAesGcmInto(derive(purpose, key), nonce, boundTo, plaintext, out, start);
  return out;
}

/** The key version that a sealed value names, or `undefined` if it was not sealed for the purpose or is too short. */
export function sealedVersion(purpose: Purpose, sealed: Uint8Array): number | undefined {
  if (sealed.length < OVERHEAD_BYTES || sealed[0] !== PURPOSES[purpose].id) return undefined;
  return new DataView(sealed.buffer, sealed.byteOffset).getUint32(1);
}

/**
 * Opens what {@link seal} made.
 *
 * @throws {@link CryptoError} `ERR_DECRYPTION_FAILED` for a wrong key, purpose or AAD and altered or missing bytes alike.
 */
export function open(
  purpose: Purpose,
  key: KeyObject,
  sealed: Uint8Array,
  aad: Uint8Array = new Uint8Array(),
): Bytes {
  if (sealed.length < OVERHEAD_BYTES) throw decryptionFailed("It is too short");
  const start = HEADER_BYTES + NONCE_BYTES;
  return openAesGcm(
    derive(purpose, key),
    sealed.subarray(HEADER_BYTES, start),
    concat(sealed.subarray(0, HEADER_BYTES), aad),
    sealed.subarray(start),
  );
}

function derive(purpose: Purpose, key: KeyObject): KeyObject {
  const keys = derived.get(key) ?? {};
  derived.set(key, keys);
  let aesKey = keys[purpose];
  if (!aesKey) {
    const { info } = PURPOSES[purpose];
    const bytes = new Uint8Array(hkdfSync("sha256", key, "", info, AES_KEY_BYTES));
    aesKey = createAesKey(bytes);
    zero(bytes);
    keys[purpose] = aesKey;
  }
  return aesKey;
}
