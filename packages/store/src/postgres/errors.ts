import { CryptoError, type CryptoErrorCode, isCryptoError } from "@lango/crypto-core";

interface Mapped {
  readonly code: CryptoErrorCode;
  readonly what: string;
  readonly hint?: string;
  /** Overrides what the code says. */
  readonly retryable?: false;
}

const LOST: Mapped = {
  code: "ERR_UNAVAILABLE",
  what: "cannot be reached",
  hint: "Check that the server runs, and the host and the port of the URL.",
};
const DAMAGED: Mapped = {
  code: "ERR_INTEGRITY",
  what: "is damaged or no database of Lango",
  hint: "It was left as it is; restore a backup.",
};
const REFUSED: Mapped = {
  code: "ERR_ACCESS_DENIED",
  what: "refused the user or the password",
  hint: "Check the user of the URL; its password, PGPASSWORD, and pg_hba.conf of the server.",
};
const MOVED: Mapped = { code: "ERR_BUSY", what: "was changed by another process at the same time" };
const NO_ROOM: Mapped = {
  code: "ERR_BUSY",
  what: "could not be read or written by its server",
  hint: "Check the disk and the log of the server; nothing was changed.",
  retryable: false,
};
const NO_TEXT: Mapped = { code: "ERR_INVALID_ARGUMENT", what: "cannot hold this text" };

/** SQLSTATE codes (PostgreSQL's documentation, appendix A); one that is not listed falls back to its class. */
const STATES: Readonly<Record<string, Mapped>> = {
  "08": LOST,
  "23505": { code: "ERR_CONFLICT", what: "already has such a row" },
  "23503": { code: "ERR_CONFLICT", what: "lacks a row that this one names" },
  "25006": {
    code: "ERR_ACCESS_DENIED",
    what: "may only be read",
    hint: "It may be a standby: use the URL of the primary server.",
  },
  "25P03": LOST,
  "28": REFUSED,
  "3D000": {
    code: "ERR_NOT_FOUND",
    what: "does not exist on its server",
    hint: "Make it with: createdb",
  },
  "40001": MOVED,
  "40P01": MOVED,
  "42501": {
    code: "ERR_ACCESS_DENIED",
    what: "does not permit this to its user",
    hint: "The rights that are needed are in docs/postgres.md.",
  },
  "42P01": DAMAGED,
  "42703": DAMAGED,
  "22021": NO_TEXT,
  "22P05": NO_TEXT,
  "53": NO_ROOM,
  "53300": { code: "ERR_UNAVAILABLE", what: "takes no more connections" },
  "54": { code: "ERR_INVALID_ARGUMENT", what: "cannot hold a value of this length" },
  "55P03": { code: "ERR_BUSY", what: "is locked by another process" },
  "57014": { code: "ERR_BUSY", what: "had a statement cancelled" },
  "57P01": LOST,
  "57P02": LOST,
  "57P03": LOST,
  "57P04": LOST,
  "57P05": LOST,
  "58": NO_ROOM,
  XX001: DAMAGED,
  XX002: DAMAGED,
};

const UNEXPECTED: Mapped = { code: "ERR_INTERNAL", what: "refused a statement" };

const NO_TLS: Mapped = {
  code: "ERR_CONFIG",
  what: "does not speak TLS",
  hint: "Switch ssl on at the server.",
};
const NOT_TRUSTED: Mapped = {
  code: "ERR_CONFIG",
  what: "shows a certificate that does not prove who it is",
  hint: "Name its authority with sslrootcert=FILE, and the host as its certificate does.",
};

/** Codes of Node and OpenSSL for a certificate or a handshake that fails. */
const TLS = /^(?:ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

/** The fields of an error that came from the server; `detail` and `where` are left out, they have values. */
interface ServerError extends Error {
  readonly code: string;
  readonly severity: string;
  readonly table?: string;
  readonly constraint?: string;
  readonly routine?: string;
}

/** Tells whether the server sent the error, and so has ended the statement. */
export const isServerError = (error: unknown): error is ServerError =>
  error instanceof Error &&
  "severity" in error &&
  "code" in error &&
  /^[0-9A-Z]{5}$/.test(String(error.code));

/** Tells whether the error came with the end of the connection. */
export const endsConnection = (error: unknown): boolean =>
  !isServerError(error) || error.severity === "FATAL" || error.severity === "PANIC";

/**
 * Maps an error of the driver to a {@link CryptoError} that names the database; a CryptoError passes unchanged.
 *
 * PostgreSQL quotes values in its messages ("invalid input syntax for type bigint: …"), so the cause keeps the code and
 * names of tables, never the text.
 */
export function mapPostgresError(error: unknown, location: string): CryptoError {
  if (isCryptoError(error)) return error;
  const [mapped, native, cause] = classify(error);
  return new CryptoError(
    mapped.code,
    `${location} ${mapped.what}${native === "" ? "" : ` (${native})`}`,
    {
      ...(mapped.hint === undefined ? {} : { context: { hint: mapped.hint } }),
      ...(mapped.retryable === undefined ? {} : { retryable: mapped.retryable }),
      cause,
    },
  );
}

/** Tells whether the same may work on another connection, because nothing was done on this one. */
export const isLost = (error: unknown): boolean =>
  isCryptoError(error) && error.code === "ERR_UNAVAILABLE" && error.retryable;

function classify(error: unknown): [Mapped, string, unknown] {
  if (isServerError(error)) {
    const { code, table, constraint, routine } = error;
    const where = [table, constraint, routine].filter(Boolean).join(", ");
    return [
      STATES[code] ?? STATES[code.slice(0, 2)] ?? UNEXPECTED,
      code,
      new Error(`PostgreSQL ${code}${where === "" ? "" : ` (${where})`}`),
    ];
  }
  // A mistake of the program, not of the network.
  if (!(error instanceof Error) || error instanceof TypeError) return [UNEXPECTED, "", error];
  const code = "code" in error ? String(error.code) : "";
  if (TLS.test(code)) return [NOT_TRUSTED, code, error];
  if (error.message.includes("not support SSL")) return [NO_TLS, code, error];
  if (error.message.startsWith("SASL")) return [REFUSED, code, error];
  return [LOST, code, error];
}
