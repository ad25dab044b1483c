import { type CryptoError, type CryptoErrorCode, isCryptoError } from "@lango/crypto-core";
import { expect } from "vitest";

/** Expects a CryptoError of a code whose message is one line. */
export const expectCode = async (
  run: Promise<unknown> | (() => unknown),
  code: CryptoErrorCode,
): Promise<CryptoError> => {
  const error = await Promise.resolve()
    .then(() => (typeof run === "function" ? run() : run))
    .then(
      () => new Error(`Expected ${code}, but nothing was thrown`),
      (reason: unknown) => reason,
    );
  if (!isCryptoError(error)) throw error;
  expect(error.code, error.message).toBe(code);
  expect(error.message).not.toMatch(/[\n\r]/);
  return error;
};
