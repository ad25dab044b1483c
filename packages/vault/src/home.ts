import { existsSync, readFileSync } from "node:fs";
import { access } from "node:fs/promises";
import { type Bytes, bytesEqual, CryptoError, isCryptoError } from "@lango/crypto-core";
import { openStore, type Store, saltOf, type VaultRow } from "@lango/store";
import type { DatabaseWish } from "./database-types.ts";
import {
  backupHint,
  type HomePaths,
  homePaths,
  type KeyslotsFile,
  readKeyslots,
} from "./keyslots-file.ts";
import { checkComplete, checkNotMoved, isAbsent, openPlace } from "./place.ts";
import type { HomeState, StoreAddress } from "./types.ts";

/**
 * Tells what a home folder holds, or a database beside it, without a key and without changing anything.
 *
 * `half-made` is only what an onboarding leaves that died before its last step: it holds nothing, and `createVault` makes
 * it anew. Any other mix of files is `damaged`, with an error that says what was found; it is never touched.
 *
 * @throws {@link CryptoError} `ERR_ACCESS_DENIED`, `ERR_UNAVAILABLE`, `ERR_BUSY` when the files cannot be read now.
 */
export const inspectHome = async (home: string, store?: StoreAddress): Promise<HomeState> => {
  try {
    return await (store ? inspectDatabase(home, store) : inspect(homePaths(home)));
  } catch (error) {
    if (isCryptoError(error) && !NOT_NOW.has(error.code)) return { damaged: error };
    throw error;
  }
};

const NOT_NOW: ReadonlySet<string> = new Set(["ERR_ACCESS_DENIED", "ERR_UNAVAILABLE", "ERR_BUSY"]);

const inspect = async (paths: HomePaths): Promise<HomeState> => {
  const file = await readKeyslots(paths);
  if (!(await exists(paths.database))) {
    if (file) throw mixed(`${paths.keyslots} is there, ${paths.database} is not`);
    if (await exists(paths.keyslotsBackup)) throw mixed(`Only ${paths.keyslotsBackup} is left`);
    return "absent";
  }
  const found = await readVaultRow(paths);
  if (found === "encrypted") return inspectEncrypted(paths, file);
  const { row, isEmpty } = found;
  if (file) {
    if (!row) throw mixed(`${paths.database} has no vault, ${paths.keyslots} has`);
    checkSameVault(row, file);
    return "ready";
  }
  // Onboarding writes the slots last: without them, a database marked so cannot be opened by anybody.
  if (row ? row.state === "onboarding" : isEmpty) return "half-made";
  const hint = row && (await isBackupOf(row, paths)) ? backupHint(paths) : undefined;
  throw mixed(`${paths.database} is there, ${paths.keyslots} is not`, hint);
};

/** Nobody sees into the database: the files beside it say what it is. */
const inspectEncrypted = async (
  paths: HomePaths,
  file: KeyslotsFile | undefined,
): Promise<HomeState> => {
  if (file) return "ready";
  const hasBackup = await exists(paths.keyslotsBackup);
  if (!hasBackup && isMarked(paths)) return "half-made";
  const hint = hasBackup
    ? backupHint(paths)
    : `${ONE_BACKUP}; "lango security db-migrate --from-passphrase" reads that of the original Lango`;
  throw mixed(`${paths.database} is there, ${paths.keyslots} is not`, hint);
};

/** Whether the mark is of this very database: an onboarding that died may have left it, and another program its own file since. */
const isMarked = ({ database, onboarding }: HomePaths): boolean =>
  existsSync(onboarding) && bytesEqual(readFileSync(onboarding), saltOf(database));

/** Rows and slots come in one transaction: there is no half-made vault but an empty database. */
const inspectDatabase = async (home: string, address: StoreAddress): Promise<HomeState> => {
  const place = await openPlace({ home, store: address }, "read").catch((error) => {
    if (isAbsent(error)) return undefined;
    throw error;
  });
  if (!place?.store) return "absent";
  await using store = place.store;
  await checkComplete(store, store.location);
  await checkNotMoved(store, store.location);
  const [row, file] = [await store.vault.get(), await readKeyslots(place.paths)];
  if (row && file) {
    checkSameVault(row, file);
    return "ready";
  }
  if (row || file)
    throw mixed(`${store.location} has ${row ? "a vault without slots" : "slots without a vault"}`);
  return "absent";
};

const readVaultRow = async (
  paths: HomePaths,
): Promise<{ row: VaultRow | undefined; isEmpty: boolean } | "encrypted"> => {
  await using store = await openPlain(paths);
  if (!store) return "encrypted";
  const counts = await store.counts();
  const isEmpty = Object.values(counts).every((count) => count === 0);
  return { row: await store.vault.get(), isEmpty };
};

/** @throws {@link CryptoError} `ERR_INTEGRITY`: slots of one vault beside the database of another. */
export const checkSameVault = (row: VaultRow, { keyslots }: KeyslotsFile): void => {
  if (row.vaultId === keyslots.vaultId) return;
  const found = `lango.db is of vault ${row.vaultId}, keyslots.json of vault ${keyslots.vaultId}`;
  throw new CryptoError("ERR_INTEGRITY", found, { context: { hint: ONE_BACKUP } });
};

const isBackupOf = async ({ vaultId }: VaultRow, paths: HomePaths): Promise<boolean> => {
  try {
    const backup = await readKeyslots({ ...paths, keyslots: paths.keyslotsBackup });
    return backup?.keyslots.vaultId === vaultId;
  } catch (error) {
    if (isCryptoError(error)) return false;
    throw error;
  }
};

const ONE_BACKUP = "Restore lango.db and keyslots.json from one backup";

export const mixed = (found: string, hint: string = ONE_BACKUP): CryptoError =>
  new CryptoError("ERR_CONFLICT", found, { context: { hint } });

export interface OpenDatabaseOptions {
  /** Of an encrypted database, the likelier ones first; zeroed by the caller. */
  readonly keys: readonly Bytes[];
  /** Of a database that another program encrypted; tried where the keys are wrong. */
  readonly passphrase?: Uint8Array | undefined;
  /** Default: as the file is. */
  readonly wish?: DatabaseWish | undefined;
  readonly busyTimeoutMs?: number | undefined;
}

/**
 * Opens the database that belongs to the slots which are there. The file says whether it is encrypted, and the settings have to
 * agree: else somebody may have put a file in plaintext into its place.
 */
export const openDatabase = async (
  paths: HomePaths,
  { keys, passphrase, wish, busyTimeoutMs }: OpenDatabaseOptions,
): Promise<Store> => {
  const open = (key?: Bytes, otherwise?: Uint8Array): Promise<Store> =>
    openStore({
      ...{ file: paths.database, mode: "open", key, passphrase: otherwise },
      ...(busyTimeoutMs === undefined ? {} : { busyTimeoutMs }),
    });
  try {
    if (!wish?.enabled) {
      const plain = await unlessEncrypted(open());
      if (plain) return plain;
      if (wish) throw notWished(paths);
    }
    return await firstThatOpens(keys, open).catch((error: unknown) => {
      if (!passphrase || !isWrong(error)) throw error;
      return open(undefined, passphrase);
    });
  } catch (error) {
    throw orMixed(paths, error);
  }
};

/** Opens the database for reading without a key; `undefined` when it is encrypted. */
export const openPlain = async (paths: HomePaths): Promise<Store | undefined> => {
  try {
    return await unlessEncrypted(openStore({ file: paths.database, mode: "read" }));
  } catch (error) {
    throw orMixed(paths, error);
  }
};

const unlessEncrypted = async (opening: Promise<Store>): Promise<Store | undefined> => {
  try {
    return await opening;
  } catch (error) {
    if (isCryptoError(error) && error.code === "ERR_LOCKED") return undefined;
    throw error;
  }
};

/** More than one while a change of the key has not ended. */
const firstThatOpens = async (
  keys: readonly Bytes[],
  open: (key: Bytes) => Promise<Store>,
): Promise<Store> => {
  let wrong: unknown;
  for (const key of keys) {
    try {
      return await open(key);
    } catch (error) {
      if (!isWrong(error)) throw error;
      wrong ??= error;
    }
  }
  throw wrong;
};

const isWrong = (error: unknown): boolean => isCryptoError(error) && error.code === "ERR_INTEGRITY";

const notWished = (paths: HomePaths): CryptoError =>
  new CryptoError(
    "ERR_CONFIG",
    `${paths.database} is encrypted, but security.dbEncryption.enabled is false`,
    {
      context: {
        hint: 'Decrypt it with "lango security db-decrypt", or run: lango settings set security.dbEncryption.enabled true',
      },
    },
  );

const orMixed = (paths: HomePaths, error: unknown): unknown =>
  isCryptoError(error) && error.code === "ERR_NOT_FOUND"
    ? mixed(`${paths.keyslots} is there, ${paths.database} is not`)
    : error;

/** The error of whoever wants to open a home without slots. */
export const noVault = async ({
  home,
  store,
}: {
  readonly home: string;
  readonly store?: StoreAddress | undefined;
}): Promise<CryptoError> => {
  const state = await inspectHome(home, store);
  if (typeof state === "object" && isCryptoError(state.damaged)) return state.damaged;
  const found = state === "half-made" ? "an onboarding that was interrupted" : "no vault";
  const where = store ? "the database that is configured" : home;
  return new CryptoError("ERR_LOCKED", `There is ${found} in ${where}`, {
    context: { hint: "Create a vault with: lango onboard" },
  });
};

const exists = async (path: string): Promise<boolean> => {
  try {
    await access(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw new CryptoError("ERR_ACCESS_DENIED", `Cannot look at ${path}`, { cause: error });
  }
};
