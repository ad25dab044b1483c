export {
  CryptoError,
  type CryptoErrorCode,
  type CryptoErrorOptions,
  ERROR_CODES,
  type ErrorContext,
  isCryptoError,
} from "./errors.ts";
export type * from "./provider.ts";
