import {
  closeSync,
  fsyncSync,
  lstatSync,
  openSync,
  realpathSync,
  type Stats,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { CryptoError } from "@lango/crypto-core";

// Never open or read a database or lock file with node:fs while SQLite may have it open in this process: closing any
// descriptor of a file drops all POSIX locks that the process holds on it (https://sqlite.org/howtocorrupt.html §2.2).
// Here files are only looked at (stat) or made anew (O_EXCL).

/** Group and others. Windows has no such bits; there the folder's own access list guards the files. */
const OTHERS = 0o077;

/**
 * The real place of a database file, so that every name of it leads to the same log and lock files.
 *
 * @throws {@link CryptoError} `ERR_NOT_FOUND` without its folder, `ERR_CONFIG` when others may enter the folder.
 */
export function resolveFile(file: string): string {
  let folder: string;
  try {
    folder = realpathSync(dirname(file));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    throw new CryptoError("ERR_NOT_FOUND", `There is no folder ${dirname(file)}`, { cause });
  }
  const path = lstatIn(folder, file)?.isSymbolicLink()
    ? followLink(file)
    : join(folder, basename(file));
  // SQLite's drivers trim names, so the check and the open would see two files.
  if (path.trim() !== path)
    throw new CryptoError("ERR_CONFIG", `The path "${path}" ends in a space`);
  checkPrivate(dirname(path), statSync(dirname(path)), "700");
  return path;
}

const lstatIn = (folder: string, file: string): Stats | undefined =>
  lstatSync(join(folder, basename(file)), { throwIfNoEntry: false });

function followLink(file: string): string {
  try {
    return realpathSync(file);
  } catch (cause) {
    throw new CryptoError("ERR_CONFIG", `${file} is a symbolic link that leads nowhere`, { cause });
  }
}

export const exists = (path: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false }) !== undefined;

/**
 * Refuses what is no regular file (opening a named pipe would hang) and what others may read.
 *
 * @returns Its size in bytes.
 */
export function checkFile(path: string): number {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw new CryptoError("ERR_NOT_FOUND", `There is no database ${path}`);
  if (!stats.isFile()) throw new CryptoError("ERR_CONFIG", `${path} is not a regular file`);
  checkPrivate(path, stats, "600");
  return stats.size;
}

function checkPrivate(path: string, { mode }: Stats, wanted: string): void {
  if (process.platform === "win32" || (mode & OTHERS) === 0) return;
  const found = (mode & 0o777).toString(8).padStart(4, "0");
  throw new CryptoError("ERR_CONFIG", `${path} has mode ${found}: others may read or change it`, {
    context: { hint: `Run: chmod ${wanted} '${path.replaceAll("'", "'\\''")}'` },
  });
}

/**
 * Makes an empty file that its owner alone may read, from birth; SQLite gives the same mode to -wal and -shm.
 *
 * @returns false when it was there.
 */
export function createPrivate(path: string): boolean {
  try {
    closeSync(openSync(path, "wx", 0o600));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Makes a file's bytes survive a power cut. Only for a file that no connection has open. */
export const syncToDisk = (path: string): void => sync(path, "r+");

/** Makes a folder's names survive a power cut; Windows cannot open a folder, and does it by itself. */
export function syncFolder(path: string): void {
  if (process.platform !== "win32") sync(path, "r");
}

function sync(path: string, flags: string): void {
  const descriptor = openSync(path, flags);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
