import { CryptoError } from "@lango/crypto-core";

/** Rows of one page at most: a synchronous read must not hold the event loop for more than some milliseconds. */
const MAX_PAGE = 1_000;

/** @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` unless `limit` is a whole number from 1 to 1,000. */
export function checkLimit(limit: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_PAGE) return;
  throw new CryptoError(
    "ERR_INVALID_ARGUMENT",
    `A page has 1 to ${MAX_PAGE} rows, asked for: ${limit}`,
  );
}
