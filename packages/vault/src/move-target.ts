import { existsSync } from "node:fs";
import { rename } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { toHex } from "@lango/crypto-core";
import { openStore, type Store } from "@lango/store";
import { syncFolder } from "./files.ts";
import { type HomePaths, homePaths } from "./keyslots-file.ts";
import { pathsOn } from "./place.ts";
import type { MoveVaultOptions } from "./types.ts";

/** Opens the database into which a vault goes; makes it where there is none. */
export const openMoveTarget = async (
  { home, to, busyTimeoutMs }: Pick<MoveVaultOptions, "home" | "to" | "busyTimeoutMs">,
  vaultId: Uint8Array,
): Promise<{ readonly store: Store; readonly paths: HomePaths }> => {
  const timeout = busyTimeoutMs === undefined ? {} : { busyTimeoutMs };
  if (to !== "home") {
    const store = await openStore({ url: to.url, mode: "create", ...timeout });
    return { store, paths: pathsOn(home, store) };
  }
  const paths = homePaths(home);
  await setLeftoverAside(paths, vaultId);
  const store = await openStore({ file: paths.database, mode: "create", ...timeout });
  return { store, paths };
};

/**
 * Puts aside the file from which this vault was moved, when the process died before it did.
 *
 * @returns The new names; none when there is no such file.
 */
export const setLeftoverAside = async (
  paths: HomePaths,
  vaultId: Uint8Array,
): Promise<string[]> => {
  if (!existsSync(paths.database)) return [];
  await using store = await openStore({ file: paths.database, mode: "open" });
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
  const stamp = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const names: string[] = [];
  for (const path of [paths.keyslots, paths.keyslotsBackup, paths.database]) {
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
