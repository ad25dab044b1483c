import { createHash } from "node:crypto";
import {
  type FileHandle,
  lstat,
  open,
  readdir,
  realpath,
  rename,
  rm,
  stat,
} from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { CryptoError, randomBytesFresh, toHex } from "@lango/crypto-core";
import { fileError } from "./file-errors.ts";

/**
 * Makes or replaces a file, whole or not at all. It is written beside its place under a temporary name, readable by its
 * owner only, and renamed at the end. What leads through a symbolic link is written where the link leads.
 *
 * On failure the temporary file is removed. One that a killed process left is removed by the next call for the same file.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for what is there and is no regular file: to put a file in the place
 *   of a device or a pipe would destroy it. `ERR_NOT_FOUND`, `ERR_ACCESS_DENIED`, `ERR_BUSY` (the disk is full) or
 *   `ERR_INTERNAL` for what the file system refuses. What `write` throws, as it is.
 */
export const replaceFile = async (
  file: string,
  write: (target: FileHandle) => Promise<void>,
  options: {
    /** Whether file and name survive a power cut as soon as this resolves. Default false. */
    readonly durable?: boolean;
  } = {},
): Promise<void> => {
  let target: FileHandle | undefined;
  let temporary = "";
  try {
    const place = await placeOf(file);
    await removeAbandoned(place);
    temporary = join(
      dirname(place),
      `${prefixOf(place)}${process.pid}-${toHex(randomBytesFresh(4))}.tmp`,
    );
    target = await open(temporary, "wx", 0o600);
    await write(target);
    if (options.durable === true) await target.sync();
    await target.close();
    await rename(temporary, place);
    if (options.durable === true) await syncFolder(dirname(place));
  } catch (error) {
    if (target !== undefined) {
      await target.close().catch(() => undefined);
      await rm(temporary, { force: true });
    }
    throw fileError("write", file, error);
  }
};

/** The path at which the file itself is, or will be. */
const placeOf = async (file: string): Promise<string> => {
  const found = await ifThere(stat(file));
  if (found?.isFile() === true) return realpath(file);
  if (found !== undefined) {
    const what = found.isDirectory() ? "it is a folder" : "it is not a regular file";
    throw new CryptoError("ERR_INVALID_ARGUMENT", `Cannot write ${file}: ${what}`);
  }
  if ((await ifThere(lstat(file))) !== undefined) {
    throw new CryptoError("ERR_NOT_FOUND", `Cannot write ${file}: it is a link that leads nowhere`);
  }
  const place = resolve(file);
  if ((await ifThere(stat(dirname(place)))) === undefined) {
    const missing = `there is no folder ${dirname(place)}`;
    throw new CryptoError("ERR_NOT_FOUND", `Cannot write ${file}: ${missing}`);
  }
  return place;
};

const ifThere = async <T>(looking: Promise<T>): Promise<T | undefined> => {
  try {
    return await looking;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
};

/** With a hash instead of the name, which may be as long as a name can be. */
const prefixOf = (place: string): string =>
  `.lango-${createHash("sha256").update(basename(place)).digest("hex").slice(0, 16)}-`;

/**
 * Removes temporary files for the same place whose process is gone. If it only seems gone, being in another container,
 * that process fails at its rename: no half file can come of it, because every name is used once.
 */
const removeAbandoned = async (place: string): Promise<void> => {
  const folder = dirname(place);
  const prefix = prefixOf(place);
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    const pid = name.startsWith(prefix) && /^(\d+)-[0-9a-f]+\.tmp$/.exec(name.slice(prefix.length));
    if (pid && !isAlive(Number(pid[1]))) await rm(join(folder, name), { force: true });
  }
};

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

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
};
