import { type Bytes, type CryptoProvider, isCryptoError, toHex, zero } from "@lango/crypto-core";
import { createLocalProvider } from "@lango/crypto-local";
import { createApprovals } from "./approvals/approvals.ts";
import { createAnchorer } from "./audit/anchorer.ts";
import { createAudit } from "./audit/audit.ts";
import type { AuditKey } from "./audit/chain.ts";
import type { Spool } from "./audit/spool.ts";
import { auditedProvider } from "./audited-provider.ts";
import { createBackups } from "./backup/snapshot.ts";
import { createCompanions } from "./companions.ts";
import type { VaultContext } from "./context.ts";
import { createDataKeyList } from "./data-key-list.ts";
import { createDataKeys } from "./data-keys.ts";
import { createDatabaseEncryption } from "./database-encryption.ts";
import type { DatabaseWish } from "./database-types.ts";
import { auditFailure } from "./failures.ts";
import { createFingerprints } from "./fingerprints.ts";
import { createFormerCheck } from "./former-rows.ts";
import { createGate } from "./gate.ts";
import { handOver } from "./hand-over.ts";
import { createKeyRegistry } from "./key-registry.ts";
import { createKeys } from "./keys.ts";
import type { HomePaths } from "./keyslots-file.ts";
import { createLocalKeySource } from "./local-keys.ts";
import type { KnownKey } from "./opener.ts";
import { createProviders } from "./providers.ts";
import { createRecovery } from "./recovery.ts";
import { rekeyVault } from "./rekey.ts";
import { renewRows } from "./renew-rows.ts";
import { rewrapDataKeys } from "./rewrap.ts";
import { createRotation } from "./rotation.ts";
import { createSecretReader } from "./secret-read.ts";
import { createSecrets } from "./secrets.ts";
import { createSlots } from "./slots.ts";
import { readStatus } from "./status.ts";
import type { AuditOptions, OpenVaultOptions, UnlockedBy, Vault } from "./types.ts";

export interface AssembleOptions {
  readonly home: string;
  readonly paths: HomePaths;
  readonly context: VaultContext;
  readonly auditKey: AuditKey;
  /** Owned from here on. */
  readonly vaultKey: Bytes;
  readonly providers: Readonly<Record<string, CryptoProvider>>;
  readonly fallbackToLocal?: OpenVaultOptions["fallbackToLocal"];
  readonly unlockedBy: UnlockedBy;
  readonly audit?: AuditOptions | undefined;
  readonly database?: DatabaseWish | undefined;
  readonly spool?: Spool | undefined;
  /** Opens the same vault after its key was changed. */
  readonly reopen: (known: KnownKey) => Promise<Vault>;
}

/** Puts the parts of an open vault together. */
export const assembleVault = (options: AssembleOptions): Vault => {
  const { home, paths, context, auditKey, vaultKey, providers, unlockedBy, audit, spool } = options;
  const { store, keys } = context;
  const gate = createGate("The vault", {
    explain: (error) => changedKeyInstead(context, error),
    before: createFormerCheck(context, paths, vaultKey),
  });
  const registry = createKeyRegistry(context);
  const parts = { context, registry, providers };
  const recovery = createRecovery({
    rewrap: (scheme, signal) => rewrapDataKeys(parts, { signal }, scheme),
    note: (error) => auditFailure(context.log, { action: "provider.rewrap" }, error),
  });
  const fallsBack = (scheme: string): boolean => isAllowed(options.fallbackToLocal, scheme);
  const freshDataKeys = () => createDataKeys({ ...parts, recovery, fallsBack });
  const dataKeys = freshDataKeys();
  const unaudited = createLocalProvider({ source: createLocalKeySource(context, registry) });
  const local = auditedProvider(unaudited, context, registry);
  const localForAgents = auditedProvider(unaudited, context, registry, "agent");
  const anchorer =
    audit?.anchor === undefined
      ? undefined
      : createAnchorer({
          ...{ context, paths, registry, providers, local: unaudited },
          ...{ key: audit.anchor, onAnchor: audit.onAnchor },
        });
  const reader = createSecretReader(context, dataKeys);
  const auditing = createAudit({ context, paths, auditKey, anchorer, gate });
  const verify = () => auditing.verify({ rows: true });
  let closing: Promise<void> | undefined;

  const close = async (): Promise<void> => {
    await gate.close();
    await recovery.close();
    await context.counters.flush();
    await spool?.close();
    await anchorer?.close();
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
    secrets: createSecrets({ context, dataKeys, registry, reader, gate }),
    keys: createKeys({ context, registry, local, localForAgents, providers, gate }),
    slots: createSlots({ context, paths, vaultKey, gate, openedBy: unlockedBy.slotId }),
    providers: createProviders(parts, gate),
    companions: createCompanions({ context, paths, vaultKey, gate, openedBy: unlockedBy.slotId }),
    fingerprints: createFingerprints(context, gate),
    approvals: createApprovals({ context, paths, vaultKey, reader, gate }),
    database: createDatabaseEncryption(context, gate),
    rotation: createRotation({ ...parts, dataKeys, freshDataKeys, verify }, gate),
    dataKeys: createDataKeyList(context, registry, gate),
    audit: auditing,
    backups: createBackups({ context, paths, vaultKey, database: options.database, gate }),
    async rekey(given) {
      const { slotId: openedBy, source } = unlockedBy;
      const rekeyed = await gate.run(async () => {
        // What is there is MACed with the audit key of now.
        await spool?.fold();
        return rekeyVault({ context, paths, vaultKey, openedBy, source, verify }, given);
      });
      const { vaultKey: nextKey, openedBy: slotId, ...result } = rekeyed;
      await vault.close();
      const kind = result.slots.find(({ id }) => id === slotId)?.kind ?? unlockedBy.kind;
      const next = { vaultKey: nextKey, unlockedBy: { ...unlockedBy, slotId, kind } };
      return { ...result, vault: await options.reopen(next) };
    },
    renewRows: (given) => gate.run(() => renewRows({ context, paths, vaultKey }, given)),
    status: () =>
      gate.run(async () => ({
        ...(await readStatus(store, paths, keys.rows)),
        unlockedBy,
        ...(anchorer ? { anchors: anchorer.status() } : {}),
      })),
    handOver: (detail) => gate.run(() => handOver(context, vaultKey, unlockedBy, detail)),
    close() {
      closing ??= close();
      return closing;
    },
    [Symbol.asyncDispose]: () => vault.close(),
  };
  return vault;
};

/** What a vault key from before does not open is not damaged. */
const changedKeyInstead = async (
  { log, store }: VaultContext,
  error: unknown,
): Promise<unknown> => {
  if (!isCryptoError(error) || !LOOKS_DAMAGED.has(error.code)) return error;
  try {
    await log.checkCurrent(store);
    return error;
  } catch (changed) {
    return isCryptoError(changed) && changed.code === "ERR_LOCKED" ? changed : error;
  }
};

const LOOKS_DAMAGED: ReadonlySet<string> = new Set(["ERR_DECRYPTION_FAILED", "ERR_INTEGRITY"]);

const isAllowed = (
  fallback: AssembleOptions["fallbackToLocal"] = false,
  scheme: string,
): boolean =>
  typeof fallback === "boolean"
    ? fallback
    : Object.hasOwn(fallback, scheme) && fallback[scheme] === true;
