import { CryptoError } from "@lango/crypto-core";

const MAX_TEXT_LENGTH = 256;

/** @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` unless it is valid text of 1 to 256 characters. */
export const checkText = (what: string, value: unknown): void => {
  const isGood =
    typeof value === "string" &&
    value.length > 0 &&
    value.length <= MAX_TEXT_LENGTH &&
    value.isWellFormed();
  if (isGood) return;
  const message = `The ${what} is valid text of 1 to ${MAX_TEXT_LENGTH} characters`;
  throw new CryptoError("ERR_INVALID_ARGUMENT", message);
};
