import { createHash } from "node:crypto";
import { pattern, text } from "../support.ts";

// Fixed keys, ids, nonces and salts: never do this outside of test vectors.
export const KEY = pattern(32, 1);
export const ID = pattern(12, 100);
export const NONCE = pattern(12, 200);
export const SALT = pattern(32, 50);
export const AAD = text("context");
export const VAULT_KEY = pattern(32, 77);
export const VAULT_ID = pattern(16, 88);

export const MALFORMED = "ERR_MALFORMED_ENVELOPE";
export const FAILED = "ERR_DECRYPTION_FAILED";
export const INTEGRITY = "ERR_INTEGRITY";

export const flipped = (value: Uint8Array, at: number, mask = 1): Uint8Array =>
  value.map((byte, i) => (i === at ? byte ^ mask : byte));

export const replaced = (value: Uint8Array, at: number, by: Uint8Array): Uint8Array => {
  const copy = new Uint8Array(value);
  copy.set(by, at);
  return copy;
};

export const sha256 = (value: Uint8Array | string): string =>
  createHash("sha256").update(value).digest("hex");
