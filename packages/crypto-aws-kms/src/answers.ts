import { type Bytes, CryptoError, type Operation, zero } from "@lango/crypto-core";
import { isSameKey } from "./key-id.ts";

/**
 * Refuses an answer that names another key than was asked.
 *
 * @throws {@link CryptoError} `ERR_INTEGRITY`.
 */
export function checkKey(asked: string, answered: string | undefined, operation: Operation): void {
  if (answered !== undefined && isSameKey(asked, answered)) return;
  const message = `AWS KMS ${operation}: the answer names ${answered === undefined ? "no key" : "another key"}`;
  throw new CryptoError("ERR_INTEGRITY", message, {
    context: { provider: "aws-kms", operation, keyId: asked },
  });
}

/**
 * A field of an answer that has to be there.
 *
 * @throws {@link CryptoError} `ERR_INTEGRITY`.
 */
export function present<T>(value: T | undefined, operation: Operation, what: string): T {
  if (value !== undefined) return value;
  throw new CryptoError("ERR_INTEGRITY", `AWS KMS ${operation}: the answer has no ${what}`, {
    context: { provider: "aws-kms", operation },
  });
}

/** Secret bytes of an answer in memory of their own. The SDK decodes them into Node's shared pool: they are zeroed there. */
export function ownBytes(bytes: Uint8Array): Bytes {
  const own = new Uint8Array(bytes);
  zero(bytes);
  return own;
}
