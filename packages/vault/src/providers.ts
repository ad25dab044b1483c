import type { VaultContext } from "./context.ts";
import { auditFailure } from "./failures.ts";
import type { Gate } from "./gate.ts";
import { migrateKey } from "./migrate.ts";
import { DEFAULT_KEY } from "./names.ts";
import type { Providers } from "./provider-types.ts";
import { type RewrapContext, rewrapDataKeys } from "./rewrap.ts";

export const createProviders = (parts: RewrapContext, gate: Gate): Providers => {
  const { context } = parts;
  return {
    migrate: (options) =>
      gate.run(() =>
        audited(context, "provider.migrate", options.key ?? DEFAULT_KEY, () =>
          context.store.withLock(() => migrateKey(parts, options)),
        ),
      ),
    rewrap: (options = {}) =>
      gate.run(() =>
        audited(context, "provider.rewrap", undefined, async () => ({
          rewrapped: await rewrapDataKeys(parts, options),
        })),
      ),
  };
};

const audited = async <T>(
  { log }: VaultContext,
  action: string,
  target: string | undefined,
  run: () => Promise<T>,
): Promise<T> => {
  try {
    return await run();
  } catch (error) {
    await auditFailure(log, { action, target }, error);
    throw error;
  }
};
