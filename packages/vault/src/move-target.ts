import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { CryptoError, toHex, zero } from "@lango/crypto-core";
import { openStore, type Store, type StoreReads } from "@lango/store";
import type { VaultContext } from "./context.ts";
import { syncFolder } from "./files.ts";
import { type HomePaths, homePaths } from "./keyslots-file.ts";
import { openFile } from "./open-context.ts";
import { MOVE_JOB, pathsOn } from "./place.ts";
import { isSound } from "./rows.ts";
import type { MoveVaultOptions } from "./types.ts";

/** Where a vault goes. */
export interface MoveTarget {
  readonly store: Store;
  readonly paths: HomePaths;
}

type Source = Pick<VaultContext, "keys" | "vaultId" | "store">;

/** Opens the database into which a vault goes; makes it where there is none, and a file encrypted where that is wished for. */
export const openMoveTarget = async (
  { home, to, database: wish, busyTimeoutMs }: MoveVaultOptions,
  source: Source,
): Promise<MoveTarget> => {
  const timeout = busyTimeoutMs === undefined ? {} : { busyTimeoutMs };
  if (to !== "home") {
    const store = await openStore({ url: to.url, mode: "create", ...timeout });
    return { store, paths: pathsOn(home, store) };
  }
  const paths = homePaths(home);
  await setLeftoverAside(paths, source);
  if ((await isMoved(source)) && existsSync(paths.database)) {
    // An earlier call died right after: that file is all there is of the vault, whatever is wished for now.
    return { store: await openFile(source.keys, paths, { busyTimeoutMs }), paths };
  }
  const key = wish?.enabled ? source.keys.database() : undefined;
  try {
    const store = await openStore({
      ...{ file: paths.database, mode: "create", key, cipherPageSize: wish?.cipherPageSize },
      // What an earlier call left half-filled, when it was to be otherwise than now.
      discard: () => isOtherwise(paths, source, key !== undefined),
      ...timeout,
    });
    return { store, paths };
  } finally {
    zero(key);
  }
};

const isMoved = async ({ store }: Source): Promise<boolean> =>
  (await store.audit.movedTo()) !== undefined;

/**
 * Whether the file that is there must be made anew, to be encrypted or not to be. Its slots are gone then.
 *
 * @throws as {@link checkOurs}.
 */
const isOtherwise = async (
  paths: HomePaths,
  source: Source,
  encrypted: boolean,
): Promise<boolean> => {
  // Asked under the lock of the file: whoever filled it may have been done just now.
  if (await isMoved(source)) return false;
  const { keys, vaultId } = source;
  await using store = await openFile(keys, paths, {});
  if ((store.cipher !== undefined) === encrypted) return false;
  await checkOurs({ reads: store, target: { store, paths }, keys, vaultId });
  // Without the job in the file nothing would say whose they are.
  await removeSlots(paths);
  return true;
};

interface OursOptions extends Pick<Source, "vaultId"> {
  readonly reads: StoreReads;
  /** Proves whose job it is that fills the target; without them there must be none. */
  readonly keys?: Source["keys"];
  readonly target: MoveTarget;
}

/**
 * Only what is empty, was being filled from this vault, or was left by it may be emptied.
 *
 * @throws {@link CryptoError} `ERR_CONFLICT` for anything else.
 */
export const checkOurs = async ({
  reads,
  target: { paths, store },
  keys,
  vaultId,
}: OursOptions): Promise<void> => {
  const { location } = store;
  const job = await reads.jobs.find(MOVE_JOB);
  if (job) {
    if (keys && isSound(keys.rows, "jobs", job)) return;
    throw new CryptoError("ERR_CONFLICT", `${location} is being filled with another vault`);
  }
  if (!paths.slotRow && existsSync(paths.keyslots)) {
    throw new CryptoError("ERR_CONFLICT", `${paths.keyslots} is there, and is not of this move`);
  }
  const row = await reads.vault.get();
  if (!row) {
    const { secrets, keys: keyCount, auditRows } = await reads.counts();
    if (secrets + keyCount + auditRows === 0) return;
    throw new CryptoError("ERR_CONFLICT", `${location} is not empty`);
  }
  const isSame = row.vaultId === toHex(vaultId);
  if (isSame && (await reads.audit.movedTo()) !== undefined) return;
  const what = isSame ? "this vault, as another copy" : `vault ${row.vaultId}`;
  throw new CryptoError("ERR_CONFLICT", `${location} holds ${what}`, {
    context: { hint: "Name an empty database" },
  });
};

export const alreadyIn = (location: string): CryptoError =>
  new CryptoError("ERR_CONFLICT", `The vault is in ${location} already`);

/** Best effort: the job says whose rows these are, and the next call empties it. */
export const emptyTarget = async ({ store, paths }: MoveTarget): Promise<void> => {
  try {
    if (paths.slotRow) {
      await store.transaction("full", (tx) => tx.reset());
      return;
    }
    await removeSlots(paths);
    await store.close();
    // The log first: without its database it would be taken for all that is left.
    for (const suffix of ["-wal", "-shm", ""]) await rm(paths.database + suffix, { force: true });
  } catch {
    // The error that led here is the one to tell.
  }
};

const removeSlots = async ({ keyslots, keyslotsBackup }: HomePaths): Promise<void> => {
  await rm(keyslots, { force: true });
  await rm(keyslotsBackup, { force: true });
};

/**
 * Puts aside the file from which this vault was moved, when the process died before it did. An encrypted one opens with the
 * vault's key.
 *
 * @returns The new names; none when there is no such file.
 */
export const setLeftoverAside = async (
  paths: HomePaths,
  { keys, vaultId }: Omit<Source, "store">,
): Promise<string[]> => {
  if (!existsSync(paths.database)) return [];
  await using store = await openFile(keys, paths, {});
  const row = await store.vault.get();
  const isLeftover = row?.vaultId === toHex(vaultId) && (await store.audit.movedTo()) !== undefined;
  return isLeftover ? setFilesAside(paths, store) : [];
};

/**
 * Renames the files of a vault that was moved away, and closes its database, which nobody can write any more. The slots go
 * first: without them nothing takes the rest for a vault.
 *
 * @returns The new names.
 */
export const setFilesAside = async (paths: HomePaths, store: Store): Promise<string[]> => {
  await store.close();
  const files = [paths.keyslots, paths.keyslotsBackup, paths.database];
  const second = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "");
  let stamp = second;
  // A second move within that second takes nothing's place.
  for (let n = 2; files.some((path) => existsSync(`${path}.moved-${stamp}`)); n += 1) {
    stamp = `${second}-${n}`;
  }
  const names: string[] = [];
  for (const path of files) {
    for (const suffix of ["", "-wal", "-shm"]) {
      if (!existsSync(path + suffix)) continue;
      // SQLite knows its log by the name of the database.
      const aside = `${path}.moved-${stamp}${suffix}`;
      await rename(path + suffix, aside);
      if (suffix === "") names.push(basename(aside));
    }
  }
  await syncFolder(dirname(paths.database));
  return names;
};
