import { auditFailure } from "./failures.ts";
import type { Gate } from "./gate.ts";
import { migrateKey } from "./migrate.ts";
import { DEFAULT_KEY } from "./names.ts";
import type { Providers } from "./provider-types.ts";
import { type RewrapContext, rewrapDataKeys } from "./rewrap.ts";

export const createProviders = (parts: RewrapContext, gate: Gate): Providers => {
  const { store, log } = parts.context;

  const run = <T>(entry: Failing, work: () => Promise<T>): Promise<T> =>
    gate.run(async () => {
      try {
        return await work();
      } catch (error) {
        // Whoever gave it up knows that.
        if (!entry.signal?.aborted) {
          const { action, target } = entry;
          await auditFailure(log, { action, target }, error);
        }
        throw error;
      }
    });

  return {
    migrate: (options) => {
      const { key: target = DEFAULT_KEY, signal } = options;
      return run({ action: "provider.migrate", target, signal }, () =>
        store.withLock(() => migrateKey(parts, options)),
      );
    },
    rewrap: (options = {}) =>
      run({ action: "provider.rewrap", signal: options.signal }, async () => ({
        rewrapped: await rewrapDataKeys(parts, options),
      })),
  };
};

/** What the log says of it if it fails. */
interface Failing {
  readonly action: string;
  readonly target?: string | undefined;
  readonly signal: AbortSignal | undefined;
}
