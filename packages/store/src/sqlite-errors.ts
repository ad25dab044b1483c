import { CryptoError, type CryptoErrorCode, isCryptoError } from "@lango/crypto-core";

interface Mapped {
  readonly code: CryptoErrorCode;
  readonly what: string;
  readonly hint?: string;
  /** Overrides what the code says: more room or a sound disk does not come by itself. */
  readonly retryable?: false;
}

const DAMAGED: Mapped = {
  code: "ERR_INTEGRITY",
  what: "is damaged or no database of Lango",
  hint: "It was left as it is; restore a backup.",
};

const DENIED: Mapped = {
  code: "ERR_ACCESS_DENIED",
  what: "may not be written by this user",
  hint: "Check the owner and mode of the file and of its folder.",
};

/** Not "unavailable", which is a provider that cannot be reached. */
const DISK: Mapped = {
  code: "ERR_BUSY",
  what: "could not be read or written",
  hint: "Check the disk and the system's log.",
  retryable: false,
};

const PLACE: Mapped = { code: "ERR_CONFIG", what: "is no place for a file" };

const FULL: Mapped = {
  code: "ERR_BUSY",
  what: "cannot grow: the disk or its quota is full",
  hint: "Free some space and try again; nothing was changed.",
  retryable: false,
};

const BUSY: Mapped = { code: "ERR_BUSY", what: "is locked by another process" };

/**
 * SQLite's result codes (https://sqlite.org/rescode.html), an extended one that is not listed falls back to the shorter
 * one; and those of the operating system, for what is done to the files by their names.
 */
const NATIVE_CODES: Readonly<Record<string, Mapped>> = {
  SQLITE_BUSY: BUSY,
  SQLITE_LOCKED: BUSY,
  SQLITE_FULL: FULL,
  SQLITE_IOERR: DISK,
  // What a full disk is called where the file that SQLite shares among processes cannot grow.
  SQLITE_IOERR_SHMSIZE: FULL,
  SQLITE_NOMEM: DISK,
  SQLITE_CANTOPEN: {
    code: "ERR_ACCESS_DENIED",
    what: "could not be opened",
    hint: "Check that its folder exists and may be written by this user.",
    retryable: false,
  },
  SQLITE_CORRUPT: DAMAGED,
  SQLITE_NOTADB: DAMAGED,
  SQLITE_READONLY: DENIED,
  SQLITE_PERM: DENIED,
  SQLITE_AUTH: DENIED,
  SQLITE_TOOBIG: { code: "ERR_INVALID_ARGUMENT", what: "cannot hold a value of this length" },
  SQLITE_CONSTRAINT_UNIQUE: { code: "ERR_CONFLICT", what: "already has such a row" },
  SQLITE_CONSTRAINT_PRIMARYKEY: { code: "ERR_CONFLICT", what: "already has such a row" },
  SQLITE_CONSTRAINT_FOREIGNKEY: { code: "ERR_CONFLICT", what: "lacks a row that this one names" },
  EACCES: DENIED,
  EPERM: DENIED,
  EROFS: DENIED,
  ENOTDIR: PLACE,
  ELOOP: PLACE,
  ENAMETOOLONG: PLACE,
  ENOSPC: FULL,
  EDQUOT: FULL,
  EIO: DISK,
  EMFILE: DISK,
};

const UNEXPECTED: Mapped = { code: "ERR_INTERNAL", what: "refused a statement" };

/**
 * Maps an error of a driver or of the file system to a {@link CryptoError} that names the file; a CryptoError passes unchanged.
 * SQLite's own message names columns, never values, and is kept as the cause.
 */
export function mapSqliteError(error: unknown, file: string): CryptoError {
  if (isCryptoError(error)) return error;
  const native = nativeCode(error);
  const mapped = lookUp(native);
  return new CryptoError(
    mapped.code,
    `${file} ${mapped.what}${native === "" ? "" : ` (${native})`}`,
    {
      ...(mapped.hint === undefined ? {} : { context: { hint: mapped.hint } }),
      ...(mapped.retryable === undefined ? {} : { retryable: mapped.retryable }),
      cause: error,
    },
  );
}

/** Tells whether a driver's error means that another connection has the lock. */
export const isBusy = (error: unknown): boolean => lookUp(nativeCode(error)) === BUSY;

/** Tells whether a driver's error means that pages are not what they should be. */
export const isCorrupt = (error: unknown): boolean => /^SQLITE_CORRUPT/.test(nativeCode(error));

const nativeCode = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : "";

function lookUp(native: string): Mapped {
  for (let code = native; code !== ""; code = code.slice(0, Math.max(code.lastIndexOf("_"), 0))) {
    const mapped = NATIVE_CODES[code];
    if (mapped !== undefined) return mapped;
  }
  return UNEXPECTED;
}
