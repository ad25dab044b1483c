import { access, rm } from "node:fs/promises";
import { isCryptoError } from "@lango/crypto-core";
import type { VaultContext } from "../context.ts";
import type { HomePaths } from "../keyslots-file.ts";

/** Removes the copy of the database that a killed backup left. One that another process is making holds the lock, and stays. */
export const removeLeftCopy = async (
  { store }: Pick<VaultContext, "store">,
  paths: Pick<HomePaths, "databaseCopy">,
): Promise<void> => {
  if (!(await isThere(paths.databaseCopy))) return;
  try {
    await store.withLock(() => removeCopy(paths), { waitMs: 0 });
  } catch (error) {
    if (!isCryptoError(error) || error.code !== "ERR_CONFLICT") throw error;
  }
};

/** Call it under the lock of the vault: then nobody is making a copy. */
export const removeCopy = async ({
  databaseCopy,
}: Pick<HomePaths, "databaseCopy">): Promise<void> => {
  // A file, or of a vault on a server a folder.
  for (const suffix of ["", "-journal"]) {
    await rm(databaseCopy + suffix, { recursive: true, force: true });
  }
};

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
