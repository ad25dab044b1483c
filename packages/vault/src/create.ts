import { existsSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import {
  type Bytes,
  CryptoError,
  fromHex,
  isCryptoError,
  randomBytesFresh,
  toHex,
  zero,
} from "@lango/crypto-core";
import {
  buildKeyslots,
  createSlot,
  deriveVaultKeys,
  type Keyslots,
  parseKeyslots,
  type Slot,
  type SlotCredential,
  serializeKeyslots,
  type VaultKeys,
  verifyKeyslots,
} from "@lango/envelope";
import { openStore, type Store, syncFolder, type VaultState } from "@lango/store";
import { firstAuditKey, openAuditKey, type SealedAuditKeys } from "./audit/audit-keys.ts";
import type { AuditKey } from "./audit/chain.ts";
import { createAuditLog } from "./audit/log.ts";
import { changeOf } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import { replaceFile } from "./files.ts";
import { type FirstKeys, makeFirstKeys, providersOf } from "./first-keys.ts";
import { inspectHome } from "./home.ts";
import { checkKdf } from "./kdf.ts";
import { type HomePaths, homePaths } from "./keyslots-file.ts";
import { makeFolder } from "./make-folder.ts";
import { openWith } from "./open.ts";
import { pathsOn } from "./place.ts";
import { withMac } from "./rows.ts";
import { settle } from "./slot-file-state.ts";
import { reached } from "./stages.ts";
import type { CreateVaultOptions, HomeState, Vault } from "./types.ts";
import { createUseCounters } from "./use-counters.ts";
import { assembleVault } from "./vault.ts";

const SOURCE = "onboard";

/**
 * Creates a vault and returns it open.
 *
 * Whenever the process dies, the home then holds either the whole vault or one that {@link inspectHome} calls
 * `half-made`, which the next call replaces. What is there already, sound or damaged, is never touched.
 *
 * @throws {@link CryptoError} `ERR_CONFLICT` when there is a vault, or what may be one; `ERR_INVALID_ARGUMENT` for no
 *   credentials or more than 32, a passphrase shorter than 8 characters, a bad label or a key derivation below the floor
 *   that is not accepted; as `openStore` of `@lango/store`. With `defaultKey`: `ERR_KEY_USAGE`, `ERR_KEY_DISABLED`,
 *   `ERR_UNSUPPORTED` for a key that cannot wrap, and whatever its provider throws; nothing was written then.
 */
export const createVault = async (options: CreateVaultOptions): Promise<Vault> => {
  const { home, clock = Date.now } = options;
  const credential = options.credentials[0];
  if (!credential)
    throw new CryptoError("ERR_INVALID_ARGUMENT", "A vault needs a credential to open it");
  await refuseExisting(options);
  const vaultId = randomBytesFresh(16);
  const vaultKey = randomBytesFresh(32);
  const keys = deriveVaultKeys(vaultKey, vaultId);
  const providers = providersOf(options.defaultKey);
  let opened: Store | undefined;
  try {
    // The slow part, and the one that bad input ends, comes before anything is written.
    const keyslots = await createKeyslots(vaultKey, vaultId, options);
    const first = await makeFirstKeys({ vaultId, keys, clock }, options.defaultKey);
    makeFolder(home);
    const store = await createDatabase(keys, options);
    opened = store;
    const paths = options.store ? pathsOn(home, store) : homePaths(home);
    const made = await store.withLock(async () => {
      // Another process may have been faster.
      await refuseExisting(options);
      return onboard({ store, paths, vaultId, vaultKey, keys, keyslots, first, clock });
    });
    return assembleVault({
      ...{ home, paths, vaultKey, ...made },
      providers,
      database: options.database,
      reopen: (known) =>
        openWith({ home, store: options.store, clock, providers, unlock: neverAsked }, known),
      unlockedBy: {
        slotId: keyslots.slots[0]!.id,
        kind: credential.kind,
        source: SOURCE,
        ambient: false,
        skipped: [],
      },
    });
  } catch (error) {
    keys.destroy();
    zero(vaultKey);
    await opened?.close();
    throw error;
  }
};

/** The vault key is at hand. */
const neverAsked = (): Promise<never> => Promise.reject(new CryptoError("ERR_LOCKED", "Nothing"));
/** An encrypted one is so from its first byte. Without its key nobody can tell then whether it holds a vault: a mark beside it does. */
const createDatabase = async (keys: VaultKeys, options: CreateVaultOptions): Promise<Store> => {
  const { home, database } = options;
  if (options.store) return openStore({ url: options.store.url, mode: "create" });
  const { database: file, onboarding } = homePaths(home);
  const isHalfMade = async (): Promise<boolean> => (await inspectHome(home)) === "half-made";
  const wasEncrypted = existsSync(onboarding);
  if (!database?.enabled && !wasEncrypted) return openStore({ file, mode: "create" });
  const key = database?.enabled ? keys.database() : undefined;
  try {
    const { cipherPageSize } = database ?? {};
    const onMade = key && ((salt: Uint8Array): void => mark(onboarding, salt));
    return await openStore({
      ...{ file, mode: "create", key, cipherPageSize, discard: isHalfMade, onMade },
    });
  } catch (error) {
    // With the vault of another process, which was faster, the key of this one is of no use.
    await refuseExisting(options);
    throw error;
  } finally {
    zero(key);
  }
};

/** Names the one database that nobody needs without slots: another one may come into its place. */
const mark = (onboarding: string, salt: Uint8Array): void => {
  writeFileSync(onboarding, salt, { mode: 0o600, flush: true });
  syncFolder(dirname(onboarding));
};

const refuseExisting = async ({ home, store }: CreateVaultOptions): Promise<void> => {
  // Also with a database: what lies outside of it, as the anchors, is of one vault.
  const state = await inspectHome(home);
  const there = store && (state === "absent" || state === "half-made") ? "the database" : home;
  refuse(there, there === home ? state : await inspectHome(home, store));
};

const refuse = (where: string, state: HomeState): void => {
  if (state === "absent" || state === "half-made") return;
  if (state === "ready") {
    throw new CryptoError("ERR_CONFLICT", `There is a vault in ${where} already`, {
      context: { hint: "Choose another folder with LANGO_HOME" },
    });
  }
  throw new CryptoError(
    "ERR_CONFLICT",
    `There is something in ${where}: ${state.damaged.message}`,
    {
      cause: state.damaged,
      ...(isCryptoError(state.damaged) ? { context: state.damaged.context } : {}),
    },
  );
};

const createKeyslots = async (
  vaultKey: Bytes,
  vaultId: Bytes,
  { credentials, kdf, acceptWeakKdf = false }: CreateVaultOptions,
): Promise<Keyslots> => {
  const prepared = credentials.map((credential): SlotCredential => {
    if (credential.kind !== "passphrase") return credential;
    const chosen = {
      ...credential,
      kdf: credential.kdf ?? kdf,
      acceptWeakKdf: credential.acceptWeakKdf ?? acceptWeakKdf,
    };
    checkKdf(chosen.kdf, chosen.acceptWeakKdf);
    return chosen;
  });
  const slots: Slot[] = [];
  for (const credential of prepared) slots.push(await createSlot(vaultKey, vaultId, credential));
  try {
    return buildKeyslots(vaultKey, { vaultId: toHex(vaultId), generation: 1, slots });
  } catch (cause) {
    if (!isCryptoError(cause) || cause.code !== "ERR_MALFORMED_ENVELOPE") throw cause;
    // Too many of them, or a label that no reader would take.
    throw new CryptoError("ERR_INVALID_ARGUMENT", cause.message, { cause });
  }
};

interface OnboardOptions extends Pick<VaultContext, "store" | "vaultId" | "keys" | "clock"> {
  readonly paths: HomePaths;
  readonly vaultKey: Bytes;
  readonly keyslots: Keyslots;
  readonly first: FirstKeys;
}

/** Rows first, marked `onboarding`; the slots last, since only they make a vault of the rows; then `ready`. Slots that are a row come with the others. */
const onboard = async (
  options: OnboardOptions,
): Promise<{ context: VaultContext; auditKey: AuditKey }> => {
  const { store, paths, vaultId, vaultKey, keys, keyslots, first, clock } = options;
  const sealed = firstAuditKey({ keys, vaultId });
  const auditKey = openAuditKey({ keys, vaultId }, sealed);
  const log = createAuditLog({ store, auditKey, clock, source: SOURCE });
  const counters = createUseCounters({ store, clock });
  const context: VaultContext = { store, vaultId, keys, log, counters, clock };
  reached("onboard:database");
  const state = paths.slotRow ? "ready" : "onboarding";
  await insertRows(context, keyslots, sealed, first, state);
  reached("onboard:rows");
  if (paths.slotRow) {
    await settle(context, paths, vaultKey);
    return { context, auditKey };
  }
  const bytes = serializeKeyslots(keyslots);
  // Beside an encrypted database it would look as if a vault had lost its slots; there it comes with the next step but one.
  if (!store.cipher) await replaceFile(paths.keyslotsBackup, bytes, "onboard-backup");
  await replaceFile(paths.keyslots, bytes, "onboard", async (written) =>
    verifyKeyslots(vaultKey, parseKeyslots(written)),
  );
  await settle(context, paths, vaultKey);
  reached("onboard:ready");
  return { context, auditKey };
};

const insertRows = async (
  context: VaultContext,
  keyslots: Keyslots,
  auditKeys: SealedAuditKeys,
  { key, version, dataKey }: FirstKeys,
  state: VaultState,
): Promise<void> => {
  const { store, keys, log, clock } = context;
  const vault = withMac(keys.rows, "vault", {
    vaultId: keyslots.vaultId,
    format: 1,
    state,
    createdAt: clock(),
    slotGeneration: keyslots.generation,
    slotMac: fromHex(keyslots.mac) ?? new Uint8Array(),
    pendingGeneration: null,
    pendingMac: null,
    ...auditKeys,
  });
  await store.transaction("full", async (tx) => {
    // What an interrupted onboarding left: nobody can open it.
    await tx.reset();
    await tx.vault.insert(vault);
    if (state === "ready") {
      await tx.keyslots.insert({
        generation: keyslots.generation,
        document: serializeKeyslots(keyslots),
      });
    }
    await tx.keys.insert(key);
    if (version) await tx.keys.insertVersion(version);
    await tx.dataKeys.insert(dataKey);
    await log.appendIn(tx, {
      action: "vault.create",
      target: keyslots.vaultId,
      rows: [
        changeOf("vault", vault),
        changeOf("keys", key),
        ...(version ? [changeOf("key_versions", version)] : []),
        changeOf("data_keys", dataKey),
      ],
    });
  });
};
