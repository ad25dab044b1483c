import type { CryptoProvider } from "../provider.ts";
import { type CircuitBreakerOptions, withCircuitBreaker } from "./circuit-breaker.ts";
import { type DeadlineOptions, withDeadline } from "./deadline.ts";
import { type HealthCacheOptions, withHealthCache } from "./health-cache.ts";
import { type RetryOptions, withRetry } from "./retry.ts";

export interface ResilienceOptions {
  readonly deadline?: DeadlineOptions | undefined;
  readonly retry?: RetryOptions | undefined;
  readonly circuitBreaker?: CircuitBreakerOptions | undefined;
  readonly healthCache?: HealthCacheOptions | undefined;
}

// Retries multiply when they are applied twice (4 × 4 calls).
const resilient = new WeakSet<CryptoProvider>();

/**
 * Puts health cache, deadline, retries and circuit breaker around a provider that leaves the process, from the outside
 * to the inside in this order: the deadline is that of all attempts together, and every attempt counts in the breaker. A
 * provider that does not leave the process (`capabilities.remote` is false), or is already resilient, is returned as it is.
 *
 * Where an option is not given, that of `capabilities.resilience` counts, and then the default of each part.
 *
 * Decorate each provider before {@link createComposite}, not the composite: a fallback must start when one provider has
 * given up.
 */
export const createResilientProvider = (
  provider: CryptoProvider,
  options: ResilienceOptions = {},
): CryptoProvider => {
  if (!provider.capabilities.remote || resilient.has(provider)) return provider;
  const own = provider.capabilities.resilience;
  const breaking = withCircuitBreaker(provider, {
    ...own?.circuitBreaker,
    ...options.circuitBreaker,
  });
  const careful = withRetry(breaking, { ...own?.retry, ...options.retry });
  const timely = withDeadline(careful, { ...own?.deadline, ...options.deadline });
  const result = withHealthCache(timely, { ...own?.healthCache, ...options.healthCache });
  resilient.add(result);
  return result;
};
