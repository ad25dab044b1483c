import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { CryptoError, isCryptoError } from "@lango/crypto-core";
import { fileError, openToOthers, syncFolder } from "./files.ts";

/** A file that only its owner may read, open for whole lines at its end. */
export interface AppendFile {
  /** Bytes before this opening. */
  readonly size: number;
  readonly handle: FileHandle;
}

/**
 * Adds bytes at the end of a file, which is made with mode 0600, and waits until they are on the disk. What could not be
 * written whole is taken off again.
 *
 * @param prepare - Says what to write once the file is open; shorter than the file is, `keep` cuts it first.
 */
export const appendSynced = async (
  path: string,
  prepare: (file: AppendFile) => Promise<{ readonly keep?: number; readonly bytes: Uint8Array }>,
): Promise<void> => {
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDWR } = constants;
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, O_APPEND | O_CREAT | O_RDWR | (O_NOFOLLOW ?? 0), 0o600);
    const stats = await handle.stat();
    if (!stats.isFile()) throw new CryptoError("ERR_CONFIG", `${path} is not a regular file`);
    if (process.platform !== "win32" && (stats.mode & 0o077) !== 0) {
      throw openToOthers(path, stats.mode);
    }
    const { keep = stats.size, bytes } = await prepare({ size: stats.size, handle });
    if (keep < stats.size) await handle.truncate(keep);
    try {
      // One write: with O_APPEND the lines of two processes do not mix.
      const { bytesWritten } = await handle.write(bytes);
      if (bytesWritten < bytes.length) {
        throw new CryptoError("ERR_BUSY", `${path} cannot grow: the disk is full`, {
          retryable: false,
        });
      }
      await handle.sync();
    } catch (error) {
      await takeBack(handle, keep, bytes.length);
      throw error;
    }
    if (stats.size === 0) await syncFolder(join(path, ".."));
  } catch (error) {
    throw isCryptoError(error) ? error : fileError(path, "write", error);
  } finally {
    await handle?.close();
  }
};

/** Only when nothing but our own bytes can stand there: others may have added theirs. */
const takeBack = async (handle: FileHandle, size: number, ours: number): Promise<void> => {
  const { size: now } = await handle.stat();
  if (now > size && now <= size + ours) await handle.truncate(size);
};
