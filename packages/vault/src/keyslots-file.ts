import { join } from "node:path";
import { type Bytes, CryptoError, isCryptoError } from "@lango/crypto-core";
import { type Keyslots, parseKeyslots } from "@lango/envelope";
import { readSmallFile } from "./files.ts";

/** The files of a home. */
export interface HomePaths {
  readonly keyslots: string;
  readonly keyslotsBackup: string;
  readonly database: string;
  readonly unlockFailures: string;
  readonly anchors: string;
  /** What was the file of anchors until it was full. */
  readonly anchorsBefore: string;
  readonly spool: string;
  readonly config: string;
  /** While a backup is made. */
  readonly databaseCopy: string;
}

export const homePaths = (home: string): HomePaths => ({
  keyslots: join(home, "keyslots.json"),
  keyslotsBackup: join(home, "keyslots.bak.json"),
  database: join(home, "lango.db"),
  unlockFailures: join(home, "unlock-failures.jsonl"),
  anchors: join(home, "audit-anchors.jsonl"),
  anchorsBefore: join(home, "audit-anchors.1.jsonl"),
  spool: join(home, "audit-spool.jsonl"),
  config: join(home, "config.json"),
  databaseCopy: join(home, "lango.db.copy"),
});

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
