import { mkdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { zero } from "@lango/crypto-core";
import { openStore, type StoreReads } from "@lango/store";
import type { VaultContext } from "../context.ts";
import type { DatabaseWish } from "../database-types.ts";
import { fileError } from "../files.ts";
import type { HomePaths } from "../keyslots-file.ts";
import { makeFolder } from "../make-folder.ts";
import { copyStore } from "../store-copy.ts";

export interface ServerCopyOptions {
  readonly keys: VaultContext["keys"];
  readonly paths: Pick<HomePaths, "databaseCopy">;
  /** The file is encrypted where the home of this vault wants one that is. */
  readonly wish: DatabaseWish | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * Copies the rows of a server into a new file, in a folder of its own since SQLite keeps others beside it, and compares each. A
 * failure leaves the folder to whoever called this.
 *
 * @returns The file, closed and whole.
 */
export const copyFromServer = async (
  reads: StoreReads,
  { keys, paths: { databaseCopy: folder }, wish, signal }: ServerCopyOptions,
): Promise<string> => {
  await makePrivate(folder);
  const file = join(folder, basename(folder));
  const key = wish?.enabled ? keys.database() : undefined;
  try {
    const cipherPageSize = wish?.cipherPageSize;
    await using store = await openStore({ file, mode: "create", key, cipherPageSize });
    await copyStore(reads, store, { name: "backup", signal });
  } finally {
    zero(key);
  }
  return file;
};

/** On a further machine the database may be all that there is yet of the vault. */
const makePrivate = async (folder: string): Promise<void> => {
  makeFolder(dirname(folder));
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    throw fileError(folder, "write", error);
  }
};
