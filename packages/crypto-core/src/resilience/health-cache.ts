import { decorate, raceSignal, unhealthy } from "../decorate.ts";
import { isUnavailable } from "../errors.ts";
import { callHook } from "../hooks.ts";
import type { CryptoProvider, HealthReport, HealthRequest, Operation } from "../provider.ts";
import { atLeast } from "./numbers.ts";

export interface HealthCacheOptions {
  /** Milliseconds that a report is good for. Default: 30,000. */
  readonly ttlMs?: number | undefined;
  /** Milliseconds that never go back. Default: `performance.now`. */
  readonly clock?: (() => number) | undefined;
  /** Told of each new report, also of those that other calls gave. Not awaited; what it throws becomes a warning of the process. */
  readonly onReport?: ((report: HealthReport) => void | Promise<void>) | undefined;
}

/** Reports kept; one per key that is asked for by name. */
const MAX_REPORTS = 64;

// The others may be answered without the service, from a public key that the provider keeps.
const PROVES_REACHABLE: ReadonlySet<Operation> = new Set([
  "encrypt",
  "decrypt",
  "sign",
  "mac",
  "verifyMac",
  "wrapKey",
  "unwrapKey",
  "rewrapKey",
  "createKey",
  "rotateKey",
  "describeKey",
]);

/**
 * Answers `health` from the last report while it is fresh. Other calls feed it: while they succeed nothing is asked, and
 * a failure to reach the service shows at once. Callers that ask together share one call; an abort by one of them does
 * not end it for the others.
 *
 * @throws {@link CryptoError} `ERR_CONFIG` for a time below 0.
 */
export const withHealthCache = (
  provider: CryptoProvider,
  { ttlMs = 30_000, clock = () => performance.now(), onReport }: HealthCacheOptions = {},
): CryptoProvider => {
  atLeast(0, "ttlMs", ttlMs);
  // By key id; "" is the provider as a whole. In the order of writing, the oldest first.
  const reports = new Map<string, { report: HealthReport; at: number }>();
  const flights = new Map<string, Promise<HealthReport>>();

  const keep = (keyId: string, report: HealthReport): void => {
    reports.delete(keyId);
    reports.set(keyId, { report, at: clock() });
    const [oldest] = reports.keys();
    if (reports.size > MAX_REPORTS && oldest !== undefined) reports.delete(oldest);
  };

  const learn = (keyId: string | undefined, report: HealthReport): void => {
    keep("", report);
    if (keyId !== undefined) keep(keyId, report);
    callHook("onReport", onReport, report);
  };

  const fed = decorate(provider, async ({ operation, request, run }) => {
    if (!PROVES_REACHABLE.has(operation)) return await run();
    const startedAt = performance.now();
    try {
      const result = await run();
      const latencyMs = performance.now() - startedAt;
      learn(request.keyId, { healthy: true, checkedAt: Date.now(), latencyMs });
      return result;
    } catch (error) {
      if (isUnavailable(error)) learn(request.keyId, unhealthy(error, startedAt));
      throw error;
    }
  });

  // Without the caller's signal: the answer is for everyone who waits, and for the cache.
  const ask = async ({ keyId, timeoutMs }: HealthRequest): Promise<HealthReport> => {
    const report = await fed.health({ keyId, timeoutMs });
    keep(keyId ?? "", report);
    callHook("onReport", onReport, report);
    return report;
  };

  return {
    ...fed,
    health: async (request) => {
      request.signal?.throwIfAborted();
      const key = request.keyId ?? "";
      const known = reports.get(key);
      if (known !== undefined && clock() - known.at < ttlMs) return known.report;
      let flight = flights.get(key);
      if (flight === undefined) {
        flight = ask(request).finally(() => flights.delete(key));
        flights.set(key, flight);
      }
      const shared = flight;
      return await raceSignal(request.signal, () => shared);
    },
  };
};
