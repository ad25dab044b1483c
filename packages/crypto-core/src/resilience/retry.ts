import { decorate } from "../decorate.ts";
import { isCryptoError } from "../errors.ts";
import type { CryptoProvider, Operation } from "../provider.ts";
import { atLeast } from "./numbers.ts";

export interface RetryOptions {
  /** Attempts after the first one; with 0 the provider is returned as it is. Default: 3, so at most 4 calls. */
  readonly retries?: number | undefined;
  /** Upper bound of the first pause in milliseconds; doubles with each attempt. Default: 100. */
  readonly baseDelayMs?: number | undefined;
  /** Upper bound of every pause in milliseconds. Default: 2000. */
  readonly maxDelayMs?: number | undefined;
  /** From 0 up to, but not, 1. Default: `Math.random`; jitter needs no secret randomness. */
  readonly random?: (() => number) | undefined;
}

// An answer to the first two may have been lost after the service did the work: a second call would make a second key.
// A listing that failed half-way cannot be taken up again. `health` says what is, now.
const NEVER: ReadonlySet<Operation> = new Set(["createKey", "rotateKey", "listKeys", "health"]);

/**
 * Repeats calls that failed with a `retryable` error, after a random pause between 0 and a bound that doubles ("full
 * jitter": callers that failed together do not come back together). Never repeats `createKey`, `rotateKey`, `listKeys`
 * and `health`, nor a call that an open circuit refused: that one shall fail fast.
 *
 * Turn the retries of the service's own SDK off, or they multiply.
 *
 * @throws {@link CryptoError} `ERR_CONFIG` for an option that is no number or less than 0.
 */
export const withRetry = (
  provider: CryptoProvider,
  { retries = 3, baseDelayMs = 100, maxDelayMs = 2000, random = Math.random }: RetryOptions = {},
): CryptoProvider => {
  for (const [name, value] of Object.entries({ retries, baseDelayMs, maxDelayMs })) {
    atLeast(0, name, value);
  }
  if (retries === 0) return provider;
  return decorate(provider, async ({ operation, request, run }) => {
    for (let attempt = 0; ; attempt++) {
      try {
        return await run();
      } catch (error) {
        if (attempt >= retries || NEVER.has(operation) || !canHelp(error)) throw error;
        if (request.signal?.aborted) throw request.signal.reason;
      }
      await pause(random() * Math.min(maxDelayMs, baseDelayMs * 2 ** attempt), request.signal);
    }
  });
};

const canHelp = (error: unknown): boolean =>
  isCryptoError(error) && error.retryable && error.code !== "ERR_CIRCUIT_OPEN";

const pause = (ms: number, signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
