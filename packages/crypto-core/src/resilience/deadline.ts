import { decorate, type ProviderCall } from "../decorate.ts";
import { CryptoError } from "../errors.ts";
import type { CryptoProvider, Operation } from "../provider.ts";
import { atLeast, MAX_TIMER_MS } from "./numbers.ts";

export interface DeadlineOptions {
  /** Milliseconds for a call that sets no `timeoutMs` of its own; `Infinity` for none. Default: 5000. */
  readonly timeoutMs?: number | undefined;
  /** Other values for some operations, e.g. `{ sign: 30_000 }` where a person is asked. */
  readonly perOperation?: Partial<Readonly<Record<Operation, number>>> | undefined;
}

/**
 * Ends each call after a time with `ERR_TIMEOUT`, also when the provider ignores its signal. `timeoutMs` of the request
 * comes before the options. The provider's signal is aborted with the same error; plaintext that comes later is zeroed.
 *
 * The time is that of whatever lies inside: over {@link withRetry} it is the time of all attempts together, which is how
 * `createResilientProvider` uses it; under it, of each attempt. `listKeys` has the time for each key.
 *
 * @throws {@link CryptoError} `ERR_CONFIG` for a time that is no number or less than 1.
 */
export const withDeadline = (
  provider: CryptoProvider,
  { timeoutMs = 5000, perOperation = {} }: DeadlineOptions = {},
): CryptoProvider => {
  for (const ms of [timeoutMs, ...Object.values(perOperation)]) atLeast(1, "timeoutMs", ms);
  return decorate(provider, (call) =>
    runWithin(
      provider.name,
      call,
      call.request.timeoutMs ?? perOperation[call.operation] ?? timeoutMs,
    ),
  );
};

/** Makes a call that ends after `timeoutMs` with `ERR_TIMEOUT`. */
export const runWithin = async <T>(
  provider: string,
  { operation, request, run }: ProviderCall<T>,
  timeoutMs: number,
): Promise<T> => {
  if (timeoutMs > MAX_TIMER_MS) return await run();
  const { signal, keyId } = request;
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal?.reason);
  if (signal?.aborted) onAbort();
  signal?.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(() => {
    const message = `${provider} did not answer ${operation} within ${timeoutMs} ms`;
    const context = { provider, operation, ...(keyId !== undefined && { keyId }) };
    controller.abort(new CryptoError("ERR_TIMEOUT", message, { context }));
  }, timeoutMs);
  try {
    return await run({ signal: controller.signal });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
};
