import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { link, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { CryptoError, type CryptoErrorCode, isCryptoError } from "@lango/crypto-core";

const MAX_BYTES = 16_384;
/** Group and others; Windows has no such bits. */
const OTHERS = 0o077;

/**
 * Makes a folder for its owner alone (mode 0700), and those above it; one that others may enter is refused.
 *
 * @throws {@link CryptoError} `ERR_CONFIG`, `ERR_ACCESS_DENIED`, `ERR_UNAVAILABLE`.
 */
export const makePrivateFolder = async (folder: string): Promise<void> => {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const { mode } = await stat(folder);
    checkMode(folder, mode, "700");
  } catch (error) {
    throw fileFault(folder, "make", error);
  }
};

/**
 * The text of a small file that only its owner may read; `undefined` when it is not there.
 *
 * @throws {@link CryptoError} `ERR_CONFIG` when others may read it or it is no regular file, `ERR_INTEGRITY` when it is larger
 *   than any that lango writes, `ERR_ACCESS_DENIED`, `ERR_UNAVAILABLE`.
 */
export const readPrivate = async (path: string): Promise<string | undefined> => {
  try {
    // Without O_NONBLOCK a named pipe in its place would hold the process for ever.
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const found = await file.stat();
      if (!found.isFile()) throw new CryptoError("ERR_CONFIG", `${path} is no regular file`);
      checkMode(path, found.mode, "600");
      if (found.size > MAX_BYTES) {
        throw new CryptoError("ERR_INTEGRITY", `${path} has ${found.size} bytes: lango wrote less`);
      }
      return await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw fileFault(path, "read", error);
  }
};

/**
 * Writes a file that was not there, whole or not at all, for its owner alone (mode 0600), to last through a power cut.
 *
 * @returns false when there was one, which then stays as it is: of two processes at once one wins.
 */
export const createPrivate = async (path: string, text: string): Promise<boolean> => {
  const temporary = `${path}.${randomBytes(8).toString("hex")}.tmp`;
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    // Unlike a rename, a link never replaces.
    await link(temporary, path);
    await syncFolder(dirname(path));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw fileFault(path, "write", error);
  } finally {
    await rm(temporary, { force: true });
  }
};

/** Adds a line to a file for its owner alone; it lasts through a power cut. A line that was cut off has no line feed. */
export const appendPrivate = async (path: string, line: string): Promise<void> => {
  try {
    const file = await open(path, "a", 0o600);
    try {
      await file.writeFile(`${line}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await syncFolder(dirname(path));
  } catch (error) {
    throw fileFault(path, "write", error);
  }
};

/** Puts a file in the place of another, or removes it without `to`. One that is not there stays so. */
export const movePrivate = async (path: string, to?: string): Promise<void> => {
  try {
    await (to === undefined ? rm(path, { force: true }) : rename(path, to));
    await syncFolder(dirname(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw fileFault(path, "move", error);
  }
};

/** Makes names in a folder last through a power cut; Windows cannot open a folder, and does it by itself. */
const syncFolder = async (folder: string): Promise<void> => {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

const checkMode = (path: string, mode: number, wanted: string): void => {
  if (process.platform === "win32" || (mode & OTHERS) === 0) return;
  const found = (mode & 0o777).toString(8).padStart(4, "0");
  throw new CryptoError("ERR_CONFIG", `${path} has mode ${found}: others may read or change it`, {
    context: { hint: `Run: chmod ${wanted} '${path.replaceAll("'", "'\\''")}'` },
  });
};

const CODES: Readonly<Record<string, CryptoErrorCode>> = {
  EACCES: "ERR_ACCESS_DENIED",
  EPERM: "ERR_ACCESS_DENIED",
  EROFS: "ERR_ACCESS_DENIED",
  EEXIST: "ERR_CONFIG",
  ENOTDIR: "ERR_CONFIG",
  ELOOP: "ERR_CONFIG",
};

const fileFault = (path: string, verb: string, cause: unknown): unknown => {
  if (isCryptoError(cause)) return cause;
  const reason = (cause as NodeJS.ErrnoException).code ?? "unknown";
  const message = `Cannot ${verb} ${path}: ${reason}`;
  return new CryptoError(CODES[reason] ?? "ERR_UNAVAILABLE", message, { cause });
};
