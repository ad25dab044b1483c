import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Bytes, CryptoError, isCryptoError, toPlain } from "@lango/crypto-core";
import { type Keyslots, parseKeyslots } from "@lango/envelope";
import { reached } from "./stages.ts";

/** The files of a home. */
export interface HomePaths {
  readonly keyslots: string;
  readonly keyslotsBackup: string;
  readonly database: string;
  readonly unlockFailures: string;
}

export const homePaths = (home: string): HomePaths => ({
  keyslots: join(home, "keyslots.json"),
  keyslotsBackup: join(home, "keyslots.bak.json"),
  database: join(home, "lango.db"),
  unlockFailures: join(home, "unlock-failures.jsonl"),
});

/** What `parseKeyslots` takes at most; one byte more is read, so that it sees a larger file as larger. */
const MAX_FILE_BYTES = 256 * 1024;

/** A keyslots file as it is on disk. */
export interface KeyslotsFile {
  readonly bytes: Bytes;
  readonly keyslots: Keyslots;
}

/**
 * Reads a keyslots file and checks its limits and its hash, before any key derivation.
 *
 * @returns `undefined` when there is none.
 * @throws {@link CryptoError} `ERR_INTEGRITY` or `ERR_MALFORMED_ENVELOPE` for a damaged one (the backup is named, never
 *   taken silently: it might be what an attacker wants); `ERR_CONFIG` for one that others can read.
 */
export const readKeyslots = async (paths: HomePaths): Promise<KeyslotsFile | undefined> => {
  const bytes = await readSmallFile(paths.keyslots);
  if (bytes === undefined) return undefined;
  try {
    return { bytes, keyslots: parseKeyslots(bytes) };
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    // A newer version is no damage, and its backup is as new.
    const isNewer = error.code === "ERR_CONFLICT";
    throw new CryptoError(error.code, `${paths.keyslots}: ${error.message}`, {
      cause: error,
      context: isNewer ? error.context : { hint: backupHint(paths) },
    });
  }
};

export const backupHint = (paths: HomePaths): string =>
  `${paths.keyslotsBackup} is a copy of the same generation: if you did not expect a change, copy it over keyslots.json`;

/** The bytes of a file that only its owner may read, `undefined` when it is not there. */
export const readSmallFile = async (path: string): Promise<Bytes | undefined> => {
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
      throw new CryptoError("ERR_CONFIG", `${path} is open to other users`, {
        context: { hint: `chmod 600 ${path}` },
      });
    }
    const buffer = new Uint8Array(Math.min(size, MAX_FILE_BYTES) + 1);
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

const fileError = (path: string, verb: string, cause: unknown): CryptoError => {
  const reason = (cause as NodeJS.ErrnoException).code ?? "unknown";
  const denied = reason === "EACCES" || reason === "EPERM" || reason === "EROFS";
  const code = denied ? "ERR_ACCESS_DENIED" : "ERR_UNAVAILABLE";
  return new CryptoError(code, `Cannot ${verb} ${path}: ${reason}`, { cause });
};
