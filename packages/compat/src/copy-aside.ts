import {
  chmodSync,
  constants,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  type Stats,
  statSync,
} from "node:fs";
import { basename, join } from "node:path";
import { CryptoError, type CryptoErrorCode, isCryptoError } from "@lango/crypto-core";
import { reached } from "./stages.ts";

const PREFIX = ".copy-of-original-";
/** With what `mkdtemp` ends a name. A folder that somebody else called so would be removed. */
const NAME = /^\.copy-of-original-[A-Za-z0-9]{6}$/;
/** What SQLite keeps beside a database that was not closed: changes that are not in it yet. */
export const LOGS: readonly string[] = ["-wal", "-journal"];

/** A copy of a database that its owner alone can read. */
export interface Copy {
  readonly file: string;
  /** What it lies in, with all that SQLite makes beside it. */
  readonly folder: string;
}

/**
 * Copies a database with its logs: whoever opens the original of a process that was killed would change it.
 *
 * @throws CryptoError `ERR_NOT_FOUND`, `ERR_CONFIG` for what is no regular file, `ERR_INTEGRITY` for an empty one, `ERR_BUSY` when it
 *   changes meanwhile or the disk is full, `ERR_ACCESS_DENIED`.
 */
export function copyAside(file: string, workFolder: string): Copy {
  try {
    // The logs of a linked database lie beside the file that it leads to.
    const real = realpathSync(file);
    const before = look(real);
    checkDatabase(file, before);
    const folder = mkdtempSync(join(workFolder, PREFIX));
    const copy = { folder, file: join(folder, basename(real)) };
    try {
      for (const [at, suffix] of ["", ...LOGS].entries()) {
        if (before[at] === undefined) continue;
        const to = copy.file + suffix;
        // Shares its blocks with the other where the file system can.
        copyFileSync(real + suffix, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
        chmodSync(to, 0o600);
      }
      reached("copied");
      if (!isSame(before, look(real))) {
        throw new CryptoError("ERR_BUSY", `${file} was changed while it was read`, {
          context: { hint: "Stop the program that uses it, then try again." },
        });
      }
      return copy;
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  } catch (error) {
    throw isCryptoError(error) ? error : fileFault(file, error);
  }
}

/** Removes what a process left that was killed while it copied. */
export function removeCopies(workFolder: string): void {
  for (const name of readdirSync(workFolder)) {
    if (NAME.test(name)) rmSync(join(workFolder, name), { recursive: true, force: true });
  }
}

const look = (file: string): (Stats | undefined)[] =>
  ["", ...LOGS].map((suffix) => statSync(file + suffix, { throwIfNoEntry: false }));

const isSame = (before: (Stats | undefined)[], after: (Stats | undefined)[]): boolean =>
  before.every((one, at) => {
    const other = after[at];
    return one?.ino === other?.ino && one?.size === other?.size && one?.mtimeMs === other?.mtimeMs;
  });

function checkDatabase(file: string, [database, ...logs]: (Stats | undefined)[]): void {
  if (!database?.isFile()) throw new CryptoError("ERR_CONFIG", `${file} is no regular file`);
  // Reading a named pipe would hang.
  const strange = logs.findIndex((log) => log?.isFile() === false);
  if (strange >= 0) {
    throw new CryptoError("ERR_CONFIG", `${file}${LOGS[strange]} is no regular file`);
  }
  if (database.size > 0) return;
  throw new CryptoError("ERR_INTEGRITY", `${file} is empty: it was truncated`);
}

const FAULTS: Readonly<Record<string, readonly [code: CryptoErrorCode, what: string]>> = {
  ENOENT: ["ERR_NOT_FOUND", "is not there"],
  ENOTDIR: ["ERR_NOT_FOUND", "is not there"],
  EACCES: ["ERR_ACCESS_DENIED", "may not be read, or its copy not be written"],
  EPERM: ["ERR_ACCESS_DENIED", "may not be read, or its copy not be written"],
  EROFS: ["ERR_ACCESS_DENIED", "may not be written: its file system is read-only"],
  ENOSPC: ["ERR_BUSY", "cannot be copied to be read: the disk is full"],
  EDQUOT: ["ERR_BUSY", "cannot be copied to be read: the quota of the disk is used up"],
};

/** What the file system says of a file, as an error that names it. */
export function fileFault(file: string, cause: unknown): CryptoError {
  const native = (cause as NodeJS.ErrnoException).code ?? "unknown";
  const [code, what] = FAULTS[native] ?? ["ERR_BUSY", `could not be read or written (${native})`];
  const retryable = code === "ERR_BUSY" ? { retryable: false } : {};
  return new CryptoError(code, `${file} ${what}`, { cause, ...retryable });
}
