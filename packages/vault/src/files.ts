import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type Bytes,
  CryptoError,
  type CryptoErrorCode,
  isCryptoError,
  toPlain,
} from "@lango/crypto-core";
import { reached } from "./stages.ts";

/** What `parseKeyslots` takes at most; one byte more is read, so that it sees a larger file as larger. */
const MAX_SMALL_BYTES = 256 * 1024;

/**
 * The bytes of a file that only its owner may read, `undefined` when it is not there. Of a larger file than `maxBytes`
 * one byte more than that.
 */
export const readSmallFile = async (
  path: string,
  maxBytes: number = MAX_SMALL_BYTES,
): Promise<Bytes | undefined> => {
  let file: FileHandle;
  try {
    // Without O_NONBLOCK a named pipe in its place would hold the whole process for ever.
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw fileError(path, "read", error);
  }
  try {
    const stat = await file.stat();
    if (!stat.isFile()) {
      throw new CryptoError("ERR_CONFIG", `${path} is no regular file`, {
        context: { hint: "Look at what it is and move it away" },
      });
    }
    const { mode, size } = stat;
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      throw openToOthers(path, mode);
    }
    const buffer = new Uint8Array(Math.min(size, maxBytes) + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return toPlain(buffer.slice(0, length));
  } catch (error) {
    throw isCryptoError(error) ? error : fileError(path, "read", error);
  } finally {
    await file.close();
  }
};

/**
 * Puts a file in the place of another so that, whenever the machine stops, one of the two is there, whole.
 *
 * @param check - Sees the bytes read back from the disk before they become the file; when it rejects, nothing changes.
 */
export const replaceFile = async (
  path: string,
  bytes: Uint8Array,
  stage: string,
  check?: (written: Bytes) => Promise<void>,
): Promise<void> => {
  const temporary = temporaryOf(path);
  try {
    // Left by a process that died. Made anew, so that neither its mode nor a link in its place matters.
    await rm(temporary, { force: true });
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    reached(`${stage}:written`);
    if (check) {
      const written = await readSmallFile(temporary);
      if (written === undefined) throw new CryptoError("ERR_UNAVAILABLE", `${temporary} is gone`);
      await check(written);
    }
    await rename(temporary, path);
    reached(`${stage}:renamed`);
    await syncFolder(join(path, ".."));
  } catch (error) {
    await rm(temporary, { force: true });
    throw isCryptoError(error) ? error : fileError(path, "write", error);
  }
};

/** What {@link replaceFile} leaves behind when the process dies. Only the holder of the vault's lock writes or removes it. */
export const temporaryOf = (path: string): string => `${path}.tmp`;

/** Makes a rename in the folder last through a power cut. */
export const syncFolder = async (folder: string): Promise<void> => {
  // Windows cannot open a folder; its rename is journaled.
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

/** @param mode - As it was found. */
export const openToOthers = (path: string, mode: number): CryptoError => {
  const found = (mode & 0o777).toString(8).padStart(4, "0");
  return new CryptoError("ERR_CONFIG", `${path} has mode ${found}: others may read or change it`, {
    context: { hint: `Run: chmod 600 '${path.replaceAll("'", "'\\''")}'` },
  });
};

const CODES: Readonly<Record<string, CryptoErrorCode>> = {
  EACCES: "ERR_ACCESS_DENIED",
  EPERM: "ERR_ACCESS_DENIED",
  EROFS: "ERR_ACCESS_DENIED",
  ENOTDIR: "ERR_CONFIG",
  ELOOP: "ERR_CONFIG",
  ENAMETOOLONG: "ERR_CONFIG",
  ENOSPC: "ERR_BUSY",
  EDQUOT: "ERR_BUSY",
};

export const fileError = (path: string, verb: string, cause: unknown): CryptoError => {
  const reason = (cause as NodeJS.ErrnoException).code ?? "unknown";
  const code = CODES[reason] ?? "ERR_UNAVAILABLE";
  // More room does not come by itself.
  const retryable = code === "ERR_BUSY" ? { retryable: false } : {};
  return new CryptoError(code, `Cannot ${verb} ${path}: ${reason}`, { cause, ...retryable });
};
