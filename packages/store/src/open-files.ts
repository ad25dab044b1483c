import { closeSync, openSync, readSync, statSync } from "node:fs";

/** Which file a path leads to: another one may be renamed into its place. */
export interface FileId {
  readonly dev: number;
  readonly ino: number;
}

/** `undefined` when nothing is there. */
export const fileId = (path: string): FileId | undefined =>
  statSync(path, { throwIfNoEntry: false });

export const isSameFile = (one: FileId | undefined, other: FileId | undefined): boolean =>
  one !== undefined && other !== undefined && one.ino === other.ino && one.dev === other.dev;

/** The files that connections of this process have open, and whether encrypted: see {@link looksEncrypted}. */
const openHere: { readonly id: FileId; readonly encrypted: boolean }[] = [];

/** @returns What to call when the connection is closed. */
export function noteOpen({ dev, ino }: FileId, encrypted: boolean): () => void {
  const note = { id: { dev, ino }, encrypted };
  openHere.push(note);
  return () => {
    const at = openHere.indexOf(note);
    if (at >= 0) openHere.splice(at, 1);
  };
}

const LOOK_BYTES = 4096;
/** Of 1,024 random bytes 251 of 256 values are expected, fewer than 220 never seen; SQL and small numbers have 100. */
const RANDOM_VALUES = 200;
const PLAIN_HEADER = "SQLite format 3\0";

/**
 * Whether a file that is no plain SQLite database is an encrypted one: encrypted pages cannot be told from random bytes,
 * damaged ones can, unless they were overwritten with such.
 */
export function looksEncrypted(path: string): boolean {
  const id = fileId(path);
  // Its bytes must not be read past SQLite then (see files.ts), and need not be.
  const known = openHere.find((note) => isSameFile(note.id, id));
  if (known !== undefined) return known.encrypted;
  const start = readStart(path);
  return start.length >= 1024 && new Set(start).size >= RANDOM_VALUES;
}

/** Whether a file that no connection of this process has open is a plain SQLite database. */
export const isPlain = (path: string): boolean =>
  Buffer.from(readStart(path).subarray(0, PLAIN_HEADER.length)).toString("latin1") === PLAIN_HEADER;

/**
 * The first 16 bytes of a file that no connection of this process has open. Of an encrypted database they are its salt, which
 * no other has, and which stays as long as its key.
 */
export const saltOf = (path: string): Uint8Array => readStart(path).slice(0, 16);

function readStart(path: string): Uint8Array {
  const descriptor = openSync(path, "r");
  try {
    const start = new Uint8Array(LOOK_BYTES);
    return start.subarray(0, readSync(descriptor, start, 0, LOOK_BYTES, 0));
  } finally {
    closeSync(descriptor);
  }
}
