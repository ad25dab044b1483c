import { join } from "node:path";
import { type Bytes, CryptoError, isCryptoError } from "@lango/crypto-core";
import { type Keyslots, parseKeyslots } from "@lango/envelope";
import type { StoreReads } from "@lango/store";
import { notesPath } from "@lango/unlock";
import { readSmallFile } from "./files.ts";

/** Where the parts of a vault are: files of its home, or for rows and slots a server. */
export interface HomePaths {
  /** The slots' file; with {@link slotRow}, what errors call them. */
  readonly keyslots: string;
  readonly keyslotsBackup: string;
  /** The database's file, or its address without a password. */
  readonly database: string;
  /** Holds the salt of the encrypted database that an onboarding made which has not ended: without slots nobody can open it. */
  readonly onboarding: string;
  /** The slots where they are a row of the database. Absent: they are a file. */
  readonly slotRow?: Pick<StoreReads, "keyslots">;
  /** The newest slots that this machine has seen in a database. */
  readonly pins: string;
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
  onboarding: join(home, "lango.db.onboarding"),
  unlockFailures: notesPath(home),
  anchors: join(home, "audit-anchors.jsonl"),
  anchorsBefore: join(home, "audit-anchors.1.jsonl"),
  spool: join(home, "audit-spool.jsonl"),
  pins: join(home, "pins.json"),
  config: join(home, "config.json"),
  databaseCopy: join(home, "lango.db.copy"),
});

/** A keyslots file as it is on disk. */
export interface KeyslotsFile {
  readonly bytes: Bytes;
  readonly keyslots: Keyslots;
}

/**
 * Reads the slots and checks its limits and its hash, before any key derivation.
 *
 * @returns `undefined` when there is none.
 * @throws {@link CryptoError} `ERR_INTEGRITY` or `ERR_MALFORMED_ENVELOPE` for a damaged one (the backup is named, never
 *   taken silently: it might be what an attacker wants); `ERR_CONFIG` for one that others can read.
 */
export const readKeyslots = async (paths: HomePaths): Promise<KeyslotsFile | undefined> => {
  const bytes = paths.slotRow
    ? (await paths.slotRow.keyslots.get())?.document
    : await readSmallFile(paths.keyslots);
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
  paths.slotRow
    ? "Restore the database from a backup"
    : `${paths.keyslotsBackup} is a copy of the same generation: if you did not expect a change, copy it over keyslots.json`;
