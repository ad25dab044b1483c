import { isBytes } from "./bytes.ts";
import { isUnavailable } from "./errors.ts";
import {
  type CallOptions,
  type CryptoProvider,
  type HealthReport,
  type KeyDescription,
  OPERATIONS,
  type Operation,
} from "./provider.ts";

/** One call on its way to a provider. */
export interface ProviderCall<T> {
  readonly operation: Operation;
  readonly request: CallOptions & { readonly keyId?: string | undefined };
  /**
   * Makes the call, with the request's options or others in their place. Rejects with `signal.reason` as soon as the
   * signal aborts, also when the provider does not look at it; a secret that comes later is zeroed.
   */
  run(options?: CallOptions): Promise<T>;
}

/** What a decorator does around each call. `listKeys` is one call per key that it yields. */
export type Intercept = <T>(call: ProviderCall<T>) => Promise<T>;

// `listKeys` gives an iterable, and `health` turns errors into reports.
type PlainOperation = Exclude<Operation, "listKeys" | "health">;

type Method = (request: CallOptions) => Promise<unknown>;

/**
 * A provider with the same methods, each sent through `intercept`.
 *
 * @param absent - Takes the place of the methods that the provider has not. Default: they stay absent.
 */
export const decorate = (
  provider: CryptoProvider,
  intercept: Intercept,
  absent?: () => never,
): CryptoProvider => {
  const wrap =
    <Q extends CallOptions, T>(operation: Operation, method: (request: Q) => Promise<T>) =>
    async (request: Q): Promise<T> =>
      await intercept({
        operation,
        request,
        run: async (options) => {
          const sent = { ...request, ...options };
          return await raceSignal(sent.signal, () => method.call(provider, sent));
        },
      });
  const health = wrap("health", provider.health);
  const listKeys = provider.listKeys ?? absent;
  // One loop and one cast: TypeScript cannot tie each method to its own request type in a mapped object.
  const methods: Partial<Record<Operation, Method>> = {};
  for (const operation of OPERATIONS) {
    if (operation === "listKeys" || operation === "health") continue;
    const method = (provider[operation] ?? absent) as Method | undefined;
    if (method !== undefined) methods[operation] = wrap(operation, method);
  }
  return {
    name: provider.name,
    capabilities: provider.capabilities,
    ...(methods as unknown as Pick<CryptoProvider, PlainOperation>),
    ...(listKeys !== undefined && {
      listKeys: (request: CallOptions) => steps(listKeys.bind(provider), request, intercept),
    }),
    health: async (request) => {
      const startedAt = performance.now();
      try {
        return await health(request);
      } catch (error) {
        if (isUnavailable(error)) return unhealthy(error, startedAt);
        throw error;
      }
    },
    close: () => provider.close(),
  };
};

/** The report of a provider that could not be reached. `startedAt` is a time of `performance.now()`. */
export const unhealthy = (error: Error, startedAt: number): HealthReport => ({
  healthy: false,
  checkedAt: Date.now(),
  latencyMs: performance.now() - startedAt,
  reason: error.message,
});

async function* steps(
  listKeys: (request: CallOptions) => AsyncIterable<KeyDescription>,
  request: CallOptions,
  intercept: Intercept,
): AsyncGenerator<KeyDescription, void, undefined> {
  // The provider gets its signal before the first step, so a deadline of a later step reaches it through this one.
  const ended = new AbortController();
  const onAbort = (): void => ended.abort(request.signal?.reason);
  let iterator: AsyncIterator<KeyDescription> | undefined;
  const next = async (): Promise<IteratorResult<KeyDescription>> => {
    if (iterator === undefined) {
      request.signal?.addEventListener("abort", onAbort, { once: true });
      iterator = listKeys({ ...request, signal: ended.signal })[Symbol.asyncIterator]();
    }
    return await iterator.next();
  };
  try {
    for (;;) {
      const step = await intercept({
        operation: "listKeys",
        request,
        run: (options) => raceSignal(options?.signal ?? request.signal, next),
      });
      if (step.done) return;
      yield step.value;
    }
  } finally {
    if (iterator !== undefined) request.signal?.removeEventListener("abort", onAbort);
    ended.abort();
    // Not awaited: behind a step that hangs it would hang too.
    iterator?.return?.().catch(() => {});
  }
}

/** Settles as `run` does, or rejects with `signal.reason` at the abort; then bytes that come later are zeroed. */
export const raceSignal = <T>(
  signal: AbortSignal | undefined,
  run: () => Promise<T>,
): Promise<T> => {
  if (signal === undefined) return run();
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    // Before the call, so that ours is heard before any listener of the provider.
    signal.addEventListener("abort", onAbort, { once: true });
    // A method may also throw at once; the listener must go then too.
    new Promise<T>((settle) => settle(run()))
      .then((result) => {
        // `decrypt`, `unwrapKey` and `random` give bytes; nobody is there to zero them any more.
        if (signal.aborted && isBytes(result)) result.fill(0);
        resolve(result);
      }, reject)
      .finally(() => signal.removeEventListener("abort", onAbort));
  });
};
