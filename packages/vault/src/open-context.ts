import { type Bytes, bytesEqual, fromHex, isCryptoError, zero } from "@lango/crypto-core";
import { deriveVaultKeys, type VaultKeys } from "@lango/envelope";
import type { Store, VaultRow } from "@lango/store";
import { openAuditKey } from "./audit/audit-keys.ts";
import type { AuditKey } from "./audit/chain.ts";
import { createAuditLog, createStamp } from "./audit/log.ts";
import { createSpool, type Spool } from "./audit/spool.ts";
import { checkOpenedBy } from "./companion-slots.ts";
import type { VaultContext } from "./context.ts";
import type { NewerKey } from "./env-slots.ts";
import { vaultKeyChanged } from "./failures.ts";
import { checkSameVault, noVault, openDatabase } from "./home.ts";
import { type HomePaths, type KeyslotsFile, readKeyslots } from "./keyslots-file.ts";
import { type KnownKey, type Opener, openerOf } from "./opener.ts";
import { checkComplete, isAbsent, openPlace, type Place } from "./place.ts";
import { type FinishContext, findPlan, finishRekey } from "./rekey-job.ts";
import { checkRow } from "./rows.ts";
import { rolledBack, standing, vaultRow } from "./slot-file-state.ts";
import type { OpenVaultOptions, UnlockedBy } from "./types.ts";
import { noteUnlockFailure } from "./unlock-failures.ts";
import { createUseCounters } from "./use-counters.ts";

/** A vault whose key is known, before slots and database were brought together. */
export interface OpenedContext {
  readonly paths: HomePaths;
  /** As it was when the credential was asked for. */
  readonly file: KeyslotsFile;
  readonly row: VaultRow;
  readonly context: VaultContext;
  readonly auditKey: AuditKey;
  readonly spool: Spool;
  readonly vaultKey: Bytes;
  readonly unlockedBy: UnlockedBy;
  /** The passphrase, if its slot is to be strengthened; see `upgradeKdf`. */
  readonly forUpgrade: Bytes | undefined;
  /** See {@link KnownKey.newer}. */
  readonly newer: readonly NewerKey[];
  /** Zeroes the keys and closes the store. */
  discard(): Promise<void>;
  /** For when the opening fails after all: {@link discard}, and a note for the log. */
  fail(error: unknown): Promise<void>;
}

interface OpenContextOptions extends OpenVaultOptions {
  /** Of a database that another program encrypted. */
  readonly databasePassphrase?: Uint8Array | undefined;
}

/** Finds a credential, opens a slot with it and the database with its key, and checks that they are of one vault. */
export const openContext = async (
  options: OpenContextOptions,
  known?: KnownKey,
): Promise<OpenedContext> => {
  const { clock = Date.now, audit } = options;
  const place = await openPlace(options, "open").catch(async (error) => {
    throw isAbsent(error) ? await noVault(options) : error;
  });
  const { paths } = place;
  const { file, opener } = await findOpener(options, place, known);
  const note = (error: unknown): Promise<void> =>
    noteUnlockFailure(paths, opener.source, error, clock());
  let store = place.store;
  const found = await opener.open(note).catch(async (error) => {
    await store?.close();
    throw await explained(error, paths, file);
  });
  const { vaultKey, unlockedBy, forUpgrade, newer = [] } = found;
  let keys: VaultKeys | undefined;
  const discard = async (): Promise<void> => {
    keys?.destroy();
    zero(vaultKey, forUpgrade, ...newer.map(({ key }) => key));
    await store?.close();
  };
  const fail = async (error: unknown): Promise<void> => {
    await discard();
    await note(error);
  };
  try {
    const { source } = unlockedBy;
    const vaultId = fromHex(file.keyslots.vaultId) ?? new Uint8Array();
    keys = deriveVaultKeys(vaultKey, vaultId, file.keyslots.inherited);
    store ??= await openFile(keys, paths, options);
    await checkComplete(store, paths.database);
    const row = await currentRow({ store, vaultId, keys, clock, source }, file);
    await checkOpenedBy({ store, keys }, file.keyslots, unlockedBy.slotId).catch((error) => {
      throw orRolledBack(error, row, file, paths, OTHER_OPENER);
    });
    const auditKey = checkedAuditKey({ keys, vaultId }, row, file, paths);
    const stamp = createStamp({ clock, source });
    const spool = createSpool({ store, path: paths.spool, auditKey, vaultId, stamp });
    const log = createAuditLog({
      ...{ store, auditKey, clock, source },
      ...(audit?.onFailure === "spool" ? { spool } : {}),
    });
    const counters = createUseCounters({ store, clock });
    const context: VaultContext = { store, vaultId, keys, log, counters, clock };
    return {
      ...{ paths, file, row, context, auditKey, spool, vaultKey, forUpgrade, newer, unlockedBy },
      ...{ discard, fail },
    };
  } catch (error) {
    await fail(error);
    throw await explained(error, paths, file);
  }
};

/** Reads the slots and asks for what opens one of them. */
const findOpener = async (
  options: OpenVaultOptions,
  { paths, store }: Place,
  known: KnownKey | undefined,
): Promise<{ readonly file: KeyslotsFile; readonly opener: Opener }> => {
  try {
    const file = await readKeyslots(paths);
    if (!file) throw await noVault(options);
    return { file, opener: await openerOf(options, file, known) };
  } catch (error) {
    await store?.close();
    // A source that had something knew already that it opens nothing.
    if (isCryptoError(error) && error.code === "ERR_WRONG_PASSPHRASE") {
      await noteUnlockFailure(paths, error.message, error, (options.clock ?? Date.now)());
    }
    throw error;
  }
};

/** The vault row that fits the file: an earlier process may have died between the two while it changed the vault key. */
const currentRow = async (context: FinishContext, file: KeyslotsFile): Promise<VaultRow> => {
  const { store } = context;
  let row = await vaultRow(store);
  checkSameVault(row, file);
  if (row.pendingMac !== null && (await findPlan(context, store))) {
    await store.withLock(() => finishRekey(context, file.keyslots));
    row = await vaultRow(store);
  }
  return row;
};

/** @throws {@link CryptoError} A rollback by its name, where the vault key was changed between file and database. */
const checkedAuditKey = (
  { keys, vaultId }: Pick<VaultContext, "keys" | "vaultId">,
  row: VaultRow,
  file: KeyslotsFile,
  paths: HomePaths,
): AuditKey => {
  checkRow(keys.rows, "vault", row);
  try {
    return openAuditKey({ keys, vaultId }, row);
  } catch (error) {
    throw orRolledBack(error, row, file, paths, OTHER_KEY);
  }
};

const orRolledBack = (
  error: unknown,
  row: VaultRow,
  { keyslots }: KeyslotsFile,
  paths: HomePaths,
  hint: string,
): unknown => {
  const found = standing(row, keyslots);
  return found === "older" || found === "newer"
    ? rolledBack(found, row, keyslots, paths, hint)
    : error;
};

/** The database is opened with a key of the vault, so it comes after the slots. */
export const openFile = async (
  keys: VaultKeys,
  paths: HomePaths,
  {
    database: wish,
    databasePassphrase: passphrase,
    busyTimeoutMs,
  }: Pick<OpenContextOptions, "database" | "databasePassphrase" | "busyTimeoutMs">,
): Promise<Store> => {
  const [key, former] = [keys.database(), keys.formerDatabase()];
  try {
    const known = former ? [key, former] : [key];
    return await openDatabase(paths, { keys: known, passphrase, wish, busyTimeoutMs });
  } finally {
    zero(key, former);
  }
};

const OTHER_KEY =
  "The vault key was changed between the two: only both files from one time open. Restore both from one backup";

const OTHER_OPENER =
  "Restore both files from one backup, or accept the older one, and open it with something else than this device: lango doctor --fix --accept-rollback --unlock-with passphrase";

/** A failure that comes from the file becoming another one while the vault was being opened, by its name. */
export const explained = async (
  error: unknown,
  paths: HomePaths,
  { bytes }: KeyslotsFile,
): Promise<unknown> => {
  if (!isCryptoError(error) || !BY_REPLACEMENT.has(error.code)) return error;
  const now = await readKeyslots(paths).catch(() => undefined);
  return now === undefined || bytesEqual(now.bytes, bytes) ? error : vaultKeyChanged(error);
};

const BY_REPLACEMENT: ReadonlySet<string> = new Set([
  "ERR_DECRYPTION_FAILED",
  "ERR_INTEGRITY",
  "ERR_KEYSLOTS_ROLLED_BACK",
]);
