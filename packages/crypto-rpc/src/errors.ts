import {
  CryptoError,
  type CryptoErrorCode,
  decryptionFailed,
  isCryptoError,
  type Operation,
} from "@lango/crypto-core";

/** The name of the provider, and the scheme of its keys. */
export const NAME = "rpc";

/** What a call is about, for its errors. */
export interface Scope {
  readonly operation: Operation;
  readonly keyId?: string | undefined;
}

/** An error of this provider. */
export const fail = (
  code: CryptoErrorCode,
  message: string,
  { operation, keyId }: Scope,
  hint?: string,
): CryptoError =>
  new CryptoError(code, message, {
    context: {
      provider: NAME,
      operation,
      ...(keyId !== undefined && { keyId }),
      ...(hint !== undefined && { hint }),
    },
  });

/** An error of the channel or of the companion, in the name of this provider. What is none of ours stays as it is. */
export const inScope = (error: unknown, { operation, keyId }: Scope): unknown => {
  if (!isCryptoError(error)) return error;
  // The companion's own words could tell a wrong key from altered bytes.
  if (error.code === "ERR_DECRYPTION_FAILED") return decryptionFailed();
  const { code, message, retryable, cause, context } = error;
  return new CryptoError(code, message, {
    context: { ...context, provider: NAME, operation, ...(keyId !== undefined && { keyId }) },
    retryable,
    cause,
  });
};
