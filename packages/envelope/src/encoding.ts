import { hkdfSync, type KeyObject } from "node:crypto";
import { type Bytes, CryptoError } from "@lango/crypto-core";

/** Longest output of HKDF-SHA-256: 255 hash blocks (RFC 5869 §2.3). */
const MAX_HKDF_BYTES = 255 * 32;

/**
 * Derives a key with HKDF-SHA-256, extract and expand (RFC 5869 §2).
 *
 * @param info - A string stands for its UTF-8 bytes. At most 1,024 bytes, which is the limit of Node.
 * @param length - 1 to 8,160 bytes; default 32.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` if `length` is out of range.
 */
export const hkdf = (
  key: Uint8Array | KeyObject,
  salt: Uint8Array,
  info: string | Uint8Array,
  length = 32,
): Bytes => {
  if (!Number.isInteger(length) || length < 1 || length > MAX_HKDF_BYTES)
    throw new CryptoError("ERR_INVALID_ARGUMENT", `HKDF gives 1 to 8160 bytes, not ${length}`);
  return new Uint8Array(hkdfSync("sha256", key, salt, info, length));
};
