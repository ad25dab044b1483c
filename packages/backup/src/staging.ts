import { lstat, mkdir, open, readdir, readFile, rename, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CryptoError } from "@lango/crypto-core";
import { fileError } from "@lango/envelope";
import { withFolderLock } from "@lango/store";
import { reached } from "./stages.ts";

// A restore works in a folder beside the home, so that it goes into place by renaming. A home that is there has to go out of
// the way first; whoever is killed between the two renames has left the file `ready`, by which the next command goes on.

const LOCK = "lango.lock";
/** Far longer than it takes from one rename to the next. */
const WAIT_MS = 5_000;

/** The folder beside a home in which a restore works. */
const stagingOf = (home: string): string => `${home}.restoring`;
const stagedHome = (home: string): string => join(stagingOf(home), "home");
const readyMark = (home: string): string => join(stagingOf(home), "ready");

/**
 * Runs with an empty folder of mode 0700 that goes into the place of the home when `run` calls `putInPlace`, and away when it
 * does not. What a killed restore left goes first.
 *
 * @param home - Absolute, without links.
 * @throws {@link CryptoError} `ERR_CONFLICT` when another process restores into this home.
 */
export const withStaging = async <T>(
  home: string,
  run: (staged: string) => Promise<T>,
): Promise<T> => {
  const folder = stagingOf(home);
  await makeStaging(folder);
  try {
    return await withFolderLock(folder, async () => {
      await settleLeft(home);
      try {
        await mkdir(stagedHome(home), { mode: 0o700 });
        return await run(stagedHome(home));
      } catch (error) {
        throw fileError("write", home, error);
      } finally {
        await empty(folder);
      }
    });
  } finally {
    await removeStaging(folder);
  }
};

const makeStaging = async (folder: string): Promise<void> => {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw fileError("write", folder, error);
    if (!(await lstat(folder)).isDirectory()) {
      throw new CryptoError("ERR_CONFIG", `${folder} is in the way: it is no folder`);
    }
  }
};

/** All but the lock, which goes last, while it is held. */
const empty = async (folder: string): Promise<void> => {
  for (const name of await readdir(folder)) {
    if (name !== LOCK) await rm(join(folder, name), { recursive: true, force: true });
  }
  await rm(join(folder, LOCK), { force: true });
};

/** One in which another restore has begun stays. */
const removeStaging = async (folder: string): Promise<void> => {
  await rmdir(folder).catch(() => undefined);
};

/**
 * Puts the staged home into the place of the home, which is set aside whole under the name `aside`, or, without one, is absent
 * or empty.
 *
 * @throws {@link CryptoError} `ERR_CONFLICT` when something came into the home meanwhile.
 */
export const putInPlace = async (home: string, aside: string | undefined): Promise<void> => {
  await syncFolder(stagedHome(home));
  if (aside === undefined) return moveIn(home);
  await writeMark(home, aside);
  reached("restore:ready");
  await rename(home, aside);
  reached("restore:aside");
  try {
    await moveIn(home);
  } catch (error) {
    await rename(aside, home).catch((cause) => {
      throw new CryptoError(
        "ERR_CONFLICT",
        `Something came into ${home} while it was restored; the old home is ${aside}`,
        { context: { hint: `Move away what came, then rename ${aside} back` }, cause },
      );
    });
    throw error;
  }
};

const moveIn = async (home: string): Promise<void> => {
  try {
    // Windows renames no folder over another, be it empty.
    if (process.platform === "win32") await rmdir(home).catch(() => undefined);
    await rename(stagedHome(home), home);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw fileError("write", home, error);
    throw new CryptoError("ERR_CONFLICT", `Something came into ${home} while it was restored`);
  }
  await syncFolder(dirname(home));
  reached("restore:in-place");
};

const writeMark = async (home: string, aside: string): Promise<void> => {
  const mark = await open(readyMark(home), "wx", 0o600);
  try {
    await mark.writeFile(`${aside}\n`);
    await mark.sync();
  } finally {
    await mark.close();
  }
  await syncFolder(stagingOf(home));
};

/** What `finishRestore` found. */
export interface FinishedRestore {
  /** Where the home from before is. */
  readonly aside: string;
}

/**
 * Ends a restore that was killed after it had set the old home aside: the new one, which was whole and checked by then, goes
 * into its place. Where there is a home all the same, what was to be restored goes away.
 *
 * @param home - Absolute.
 * @returns `undefined` when there was nothing to end.
 * @throws {@link CryptoError} `ERR_CONFLICT` when another process restores into this home.
 */
export const finishRestore = async (home: string): Promise<FinishedRestore | undefined> => {
  if ((await markOf(home)) === undefined) return undefined;
  const underLock = async (): Promise<FinishedRestore | undefined> => {
    const done = await settleLeft(home);
    await empty(stagingOf(home));
    return done;
  };
  try {
    return await withFolderLock(stagingOf(home), underLock, { waitMs: WAIT_MS });
  } catch (error) {
    // Whoever was between the two renames just now has ended it.
    if ((await markOf(home)) === undefined) return undefined;
    throw error;
  } finally {
    await removeStaging(stagingOf(home));
  }
};

/** Ends what a killed restore left, or removes it. */
const settleLeft = async (home: string): Promise<FinishedRestore | undefined> => {
  const aside = await markOf(home);
  const isHalfway =
    aside !== undefined &&
    (await isFree(home)) &&
    (await isThere(aside)) &&
    (await isThere(stagedHome(home)));
  if (isHalfway) await moveIn(home);
  await rm(readyMark(home), { force: true });
  await rm(stagedHome(home), { recursive: true, force: true });
  return isHalfway ? { aside } : undefined;
};

const markOf = async (home: string): Promise<string | undefined> => {
  try {
    return (await readFile(readyMark(home), "utf8")).trimEnd();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw fileError("read", readyMark(home), error);
  }
};

const isThere = async (path: string): Promise<boolean> => {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
};

/** Whether a home is absent or empty. */
const isFree = async (home: string): Promise<boolean> =>
  !(await isThere(home)) ||
  ((await lstat(home)).isDirectory() && (await readdir(home)).length === 0);

const syncFolder = async (folder: string): Promise<void> => {
  // Windows cannot open a folder; its rename is journaled.
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};
