import { type Bytes, type CryptoProvider, toHex, zero } from "@lango/crypto-core";
import { createLocalProvider } from "@lango/crypto-local";
import { createAudit } from "./audit/audit.ts";
import type { AuditKey } from "./audit/chain.ts";
import { auditedProvider } from "./audited-provider.ts";
import type { VaultContext } from "./context.ts";
import { createDataKeys } from "./data-keys.ts";
import { createGate } from "./gate.ts";
import { createKeyRegistry } from "./key-registry.ts";
import { createKeys } from "./keys.ts";
import type { HomePaths } from "./keyslots-file.ts";
import { createLocalKeySource } from "./local-keys.ts";
import { createSecrets } from "./secrets.ts";
import { createSlots } from "./slots.ts";
import { readStatus } from "./status.ts";
import type { UnlockedBy, Vault } from "./types.ts";

export interface AssembleOptions {
  readonly home: string;
  readonly paths: HomePaths;
  readonly context: VaultContext;
  readonly auditKey: AuditKey;
  /** Owned from here on. */
  readonly vaultKey: Bytes;
  readonly providers: Readonly<Record<string, CryptoProvider>>;
  readonly unlockedBy: UnlockedBy;
}

/** Puts the parts of an open vault together. */
export const assembleVault = (options: AssembleOptions): Vault => {
  const { home, paths, context, auditKey, vaultKey, providers, unlockedBy } = options;
  const { store, keys } = context;
  const gate = createGate("The vault");
  const registry = createKeyRegistry(context);
  const dataKeys = createDataKeys({ context, providers });
  const local = auditedProvider(
    createLocalProvider({ source: createLocalKeySource(context, registry) }),
    context,
    registry,
  );
  let closing: Promise<void> | undefined;

  const close = async (): Promise<void> => {
    await gate.close();
    await context.counters.flush();
    dataKeys.close();
    await local.close();
    keys.destroy();
    zero(vaultKey);
    await store.close();
  };

  const vault: Vault = {
    id: toHex(context.vaultId),
    home,
    unlockedBy,
    secrets: createSecrets({ context, dataKeys, registry, gate }),
    keys: createKeys({ context, registry, local, providers, gate }),
    slots: createSlots({ context, paths, vaultKey, gate }),
    audit: createAudit({ context, auditKey, gate }),
    status: () =>
      gate.run(async () => ({ ...(await readStatus(store, paths, keys.rows)), unlockedBy })),
    close() {
      closing ??= close();
      return closing;
    },
    [Symbol.asyncDispose]: () => vault.close(),
  };
  return vault;
};
