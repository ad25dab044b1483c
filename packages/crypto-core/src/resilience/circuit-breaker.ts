import { decorate } from "../decorate.ts";
import { CryptoError, isUnavailable } from "../errors.ts";
import { callHook } from "../hooks.ts";
import type { CryptoProvider } from "../provider.ts";
import { atLeast } from "./numbers.ts";

export type CircuitState = "closed" | "open" | "half-open";

export interface CircuitStateChange {
  readonly provider: string;
  readonly from: CircuitState;
  readonly to: CircuitState;
  /** The failure that opened the circuit. */
  readonly error?: CryptoError;
}

export interface CircuitBreakerOptions {
  /** Failures in a row that open the circuit; with `Infinity` the provider is returned as it is. Default: 5. */
  readonly failureThreshold?: number | undefined;
  /** Milliseconds that it stays open before one call may probe. Default: 30,000. */
  readonly openMs?: number | undefined;
  /** Milliseconds that never go back. Default: `performance.now`. */
  readonly clock?: (() => number) | undefined;
  /** Not awaited; what it throws becomes a warning of the process. */
  readonly onStateChange?: ((change: CircuitStateChange) => void | Promise<void>) | undefined;
}

/**
 * Stops asking a service that cannot be reached: after some failures in a row every call is refused at once with
 * `ERR_CIRCUIT_OPEN`, its cause the last failure. After `openMs` exactly one call goes through as a probe; its outcome
 * closes the circuit or opens it again. A probe that its caller aborts decides nothing, the next call probes.
 *
 * Only {@link isUnavailable} errors count. Every other outcome, also an error, shows that the service answers. Throttling
 * does not count either: an open circuit allows a fallback, throttling must not. `health` is neither refused nor counted.
 *
 * @throws {@link CryptoError} `ERR_CONFIG` for a threshold below 1, or a time below 0.
 */
export const withCircuitBreaker = (
  provider: CryptoProvider,
  {
    failureThreshold = 5,
    openMs = 30_000,
    clock = () => performance.now(),
    onStateChange,
  }: CircuitBreakerOptions = {},
): CryptoProvider => {
  atLeast(1, "failureThreshold", failureThreshold);
  atLeast(0, "openMs", openMs);
  if (failureThreshold === Number.POSITIVE_INFINITY) return provider;
  let state: CircuitState = "closed";
  let failures = 0;
  let openedAt = 0;
  let lastFailure: CryptoError | undefined;
  // Grows with each change of state. A call that began before it says nothing about the state after it.
  let epoch = 0;
  let probing = false;

  const change = (to: CircuitState, error?: CryptoError): void => {
    const from = state;
    state = to;
    epoch++;
    probing = false;
    if (to === "open") openedAt = clock();
    callHook("onStateChange", onStateChange, {
      provider: provider.name,
      from,
      to,
      ...(error !== undefined && { error }),
    });
  };

  const answered = (): void => {
    failures = 0;
    if (state === "half-open") change("closed");
  };

  const failed = (error: CryptoError): void => {
    lastFailure = error;
    // Not reset while it is open, so one failure of the probe is enough.
    failures++;
    if (failures >= failureThreshold) change("open", error);
  };

  return decorate(provider, async ({ operation, request, run }) => {
    if (operation === "health") return await run();
    if (state === "open" && clock() - openedAt >= openMs) change("half-open");
    if (state === "open" || probing) throw circuitOpen(provider.name, operation, lastFailure);
    probing = state === "half-open";
    const begunIn = epoch;
    try {
      const result = await run();
      if (epoch === begunIn) answered();
      return result;
    } catch (error) {
      if (epoch === begunIn) {
        if (isUnavailable(error)) failed(error);
        else if (request.signal?.aborted) probing = false;
        else answered();
      }
      throw error;
    }
  });
};

const circuitOpen = (
  provider: string,
  operation: string,
  cause: CryptoError | undefined,
): CryptoError =>
  new CryptoError(
    "ERR_CIRCUIT_OPEN",
    `${provider} could not be reached and is not asked for a while`,
    {
      context: { provider, operation },
      cause,
    },
  );
