import { chmodSync, existsSync, linkSync, lstatSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { CryptoError, isCryptoError } from "@lango/crypto-core";
import { fileId, isSameFile, syncFolder, syncToDisk } from "@lango/store";
import { fileFault, LOGS } from "./copy-aside.ts";
import type { Original } from "./original-types.ts";
import { reached } from "./stages.ts";

/** What the database of the original is called once it was put aside. */
export const asideOf = (file: string): string => `${file}.original`;

/** Whether it was put aside: it may still have its first name as well, after an interruption. */
export const isAside = (file: string): boolean =>
  existsSync(asideOf(file)) && !areOne(file, asideOf(file));

/**
 * Gives the database of the original another name, {@link asideOf}, with its log. Killed at any moment, it is whole under one
 * of the two names, and the next call goes on. `lango.db-shm`, which SQLite makes anew, goes.
 *
 * The second name comes before the first one goes: in between, the program that made it would still find what it left.
 *
 * @param file - Its path; there may be none any more.
 * @throws CryptoError `ERR_BUSY` when another process has it open; `ERR_CONFLICT` when something else has the name;
 *   `ERR_CONFIG` where the file system has no hard links.
 */
export function putAside(file: string, original: Pick<Original, "isOpenElsewhere">): void {
  const aside = asideOf(file);
  try {
    if (existsSync(file)) {
      addName(file, aside, original);
      rmSync(file);
      reached("aside:renamed");
    }
    removeLogs(file, aside);
    reached("aside:done");
  } catch (error) {
    throw isCryptoError(error) ? error : linkFault(file, error);
  }
}

/**
 * Undoes {@link putAside} where nothing has the first name. Killed at any moment, the database is whole under one of the two.
 *
 * @returns Whether it has its first name again.
 */
export function putBack(file: string): boolean {
  const aside = asideOf(file);
  if (existsSync(file) || !existsSync(aside)) return false;
  // The logs first: whoever finds the database finds them beside it.
  for (const suffix of [...LOGS, ""].filter((each) => existsSync(aside + each))) {
    if (!areOne(aside + suffix, file + suffix)) linkSync(aside + suffix, file + suffix);
  }
  syncFolder(dirname(file));
  removeAll(aside);
  return true;
}

/** Ends with all of the database under both names, and on the disk. */
function addName(
  file: string,
  aside: string,
  { isOpenElsewhere }: Pick<Original, "isOpenElsewhere">,
): void {
  const link = ["", ...LOGS].find((suffix) => isLink(file + suffix));
  if (link !== undefined) {
    // SQLite would follow it, and move the log of what it leads to.
    throw new CryptoError("ERR_CONFIG", `${file}${link} is a symbolic link`, {
      context: { hint: ELSEWHERE },
    });
  }
  // An earlier call that did not come to its end: the logs may have changed since.
  if (areOne(file, aside)) removeAll(aside);
  if (existsSync(aside)) {
    throw new CryptoError("ERR_CONFLICT", `${file} and ${aside} are both there`, {
      context: { hint: "Look at which of them is yours, and move the other one away." },
    });
  }
  linkSync(file, aside);
  reached("aside:linked");
  // Its log is not beside this name yet, so that nothing is written into it.
  if (isOpenElsewhere(aside)) {
    removeAll(aside);
    throw new CryptoError("ERR_BUSY", `${file} is open in another program`, {
      context: { hint: "Stop the program that uses it, then try again." },
    });
  }
  for (const suffix of LOGS.filter((each) => existsSync(file + each))) {
    linkSync(file + suffix, aside + suffix);
  }
  for (const suffix of ["", ...LOGS].filter((each) => existsSync(aside + each))) {
    // The original leaves them to the umask.
    chmodSync(aside + suffix, 0o600);
    syncToDisk(aside + suffix);
  }
  syncFolder(dirname(file));
  reached("aside:whole");
}

/** Takes away the first names of the logs. A log that is not the one that was put aside is somebody else's. */
function removeLogs(file: string, aside: string): void {
  for (const suffix of LOGS.filter((each) => existsSync(file + each))) {
    if (!areOne(file + suffix, aside + suffix)) {
      throw new CryptoError("ERR_CONFLICT", `${file + suffix} is there without its database`, {
        context: { hint: "Look at what it is, and move it away." },
      });
    }
    rmSync(file + suffix);
  }
  rmSync(`${file}-shm`, { force: true });
  syncFolder(dirname(file));
}

const removeAll = (path: string): void => {
  // The logs first: they mean nothing without the database, and something wrong beside another one.
  for (const suffix of [...LOGS, "-shm", ""]) rmSync(path + suffix, { force: true });
};

/** Whether two names lead to the same file. */
const areOne = (one: string, other: string): boolean => isSameFile(fileId(one), fileId(other));

const isLink = (path: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;

const ELSEWHERE =
  "Move it to another folder, make a vault with lango onboard, and name it with --database FILE";

/** What a file system says that has no hard links, or has none from there: a file may be a mount of its own. */
const NO_LINKS = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EXDEV", "EMLINK"];

function linkFault(file: string, cause: unknown): CryptoError {
  const { code = "", syscall } = cause as NodeJS.ErrnoException;
  if (syscall !== "link" || !NO_LINKS.includes(code)) return fileFault(file, cause);
  return new CryptoError("ERR_CONFIG", `The file system of ${file} has no hard links (${code})`, {
    context: { hint: ELSEWHERE },
    cause,
  });
}
