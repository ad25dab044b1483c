/** What went wrong, as a stable string. Programs act on the code, never on the message. */
export type CryptoErrorCode =
  | "ERR_INVALID_ARGUMENT"
  | "ERR_UNSUPPORTED"
  | "ERR_KEY_NOT_FOUND"
  | "ERR_KEY_DISABLED"
  | "ERR_KEY_USAGE"
  | "ERR_KEY_RETIRED"
  | "ERR_ACCESS_DENIED"
  | "ERR_DECRYPTION_FAILED"
  | "ERR_MALFORMED_ENVELOPE"
  | "ERR_RATE_LIMITED"
  | "ERR_UNAVAILABLE"
  | "ERR_TIMEOUT"
  | "ERR_CIRCUIT_OPEN"
  | "ERR_CLOSED"
  | "ERR_INTERNAL"
  | "ERR_PROVIDER_NOT_INSTALLED"
  | "ERR_LOCKED"
  | "ERR_WRONG_PASSPHRASE"
  | "ERR_NOT_FOUND"
  | "ERR_DENIED"
  | "ERR_APPROVAL_TIMEOUT"
  | "ERR_CONFLICT"
  | "ERR_BUSY"
  | "ERR_CONFIG"
  | "ERR_INTEGRITY"
  | "ERR_KEYSLOTS_ROLLED_BACK"
  | "ERR_STORE_ROLLED_BACK";

interface CodeProperties {
  /** Exit status of a command that fails with this code. */
  readonly exit: number;
  /** Whether the same call may succeed when it is made again. */
  readonly retryable: boolean;
}

/**
 * Every code with its exit status and whether a retry can help.
 *
 * Exit statuses: 1 general, 2 usage, 3 not found, 4 locked or wrong passphrase, 5 denied, 6 approval timed out,
 * 7 provider unreachable, 8 integrity failure, 9 conflict or lock held, 69 optional package missing,
 * 75 temporary failure, 78 configuration.
 */
export const ERROR_CODES: Readonly<Record<CryptoErrorCode, CodeProperties>> = {
  ERR_INVALID_ARGUMENT: { exit: 2, retryable: false },
  ERR_UNSUPPORTED: { exit: 2, retryable: false },
  ERR_KEY_NOT_FOUND: { exit: 3, retryable: false },
  ERR_KEY_DISABLED: { exit: 5, retryable: false },
  ERR_KEY_USAGE: { exit: 2, retryable: false },
  ERR_KEY_RETIRED: { exit: 75, retryable: true },
  ERR_ACCESS_DENIED: { exit: 5, retryable: false },
  ERR_DECRYPTION_FAILED: { exit: 8, retryable: false },
  ERR_MALFORMED_ENVELOPE: { exit: 8, retryable: false },
  ERR_RATE_LIMITED: { exit: 75, retryable: true },
  ERR_UNAVAILABLE: { exit: 7, retryable: true },
  ERR_TIMEOUT: { exit: 7, retryable: true },
  ERR_CIRCUIT_OPEN: { exit: 7, retryable: true },
  ERR_CLOSED: { exit: 1, retryable: false },
  ERR_INTERNAL: { exit: 1, retryable: false },
  ERR_PROVIDER_NOT_INSTALLED: { exit: 69, retryable: false },
  ERR_LOCKED: { exit: 4, retryable: false },
  ERR_WRONG_PASSPHRASE: { exit: 4, retryable: false },
  ERR_NOT_FOUND: { exit: 3, retryable: false },
  ERR_DENIED: { exit: 5, retryable: false },
  ERR_APPROVAL_TIMEOUT: { exit: 6, retryable: false },
  ERR_CONFLICT: { exit: 9, retryable: false },
  ERR_BUSY: { exit: 75, retryable: true },
  ERR_CONFIG: { exit: 78, retryable: false },
  ERR_INTEGRITY: { exit: 8, retryable: false },
  ERR_KEYSLOTS_ROLLED_BACK: { exit: 8, retryable: false },
  ERR_STORE_ROLLED_BACK: { exit: 8, retryable: false },
};

/** Where an error happened. Never holds key bytes, plaintext, AAD, PINs or credentials. */
export interface ErrorContext {
  readonly provider?: string;
  readonly operation?: string;
  readonly keyId?: string;
  /** One sentence that says how to mend it, e.g. a command to run. */
  readonly hint?: string;
}

export interface CryptoErrorOptions {
  readonly context?: ErrorContext;
  readonly cause?: unknown;
  /** Overrides the code's own value, e.g. when a service says that a retry is useless. */
  readonly retryable?: boolean;
}

const BRAND: unique symbol = Symbol.for("lango.CryptoError") as never;

/** The one error class of Lango. Recognise it with {@link isCryptoError}. */
export class CryptoError extends Error {
  override readonly name = "CryptoError";
  readonly code: CryptoErrorCode;
  readonly context: ErrorContext;
  readonly retryable: boolean;

  constructor(code: CryptoErrorCode, message: string, options: CryptoErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.context = options.context ?? {};
    this.retryable = options.retryable ?? ERROR_CODES[code].retryable;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** Tells whether a value is a {@link CryptoError}, also one of another copy of this package. */
export const isCryptoError = (value: unknown): value is CryptoError =>
  typeof value === "object" && value !== null && BRAND in value;

/**
 * The one answer to a wrong key, wrong AAD, altered bytes and a wrong commitment or MAC: one code and one message, so
 * that a caller who sends forgeries learns nothing from the difference. Every decrypt path throws this one.
 *
 * @param reason - What it was, as the `cause`: for the audit log of whoever holds the key, never to be sent on.
 */
export const decryptionFailed = (reason?: string): CryptoError =>
  new CryptoError(
    "ERR_DECRYPTION_FAILED",
    "Decryption failed: wrong key, wrong associated data, or altered bytes",
    reason === undefined ? {} : { cause: new CryptoError("ERR_DECRYPTION_FAILED", reason) },
  );

/**
 * Tells whether a service could not be reached: `ERR_UNAVAILABLE`, `ERR_TIMEOUT` or `ERR_CIRCUIT_OPEN`. Only these open
 * a circuit or allow a fallback. Throttling (`ERR_RATE_LIMITED`) is not one of them: the service answers.
 */
export const isUnavailable = (error: unknown): error is CryptoError =>
  isCryptoError(error) && UNAVAILABLE.has(error.code);

const UNAVAILABLE: ReadonlySet<CryptoErrorCode> = new Set([
  "ERR_UNAVAILABLE",
  "ERR_TIMEOUT",
  "ERR_CIRCUIT_OPEN",
]);

/**
 * An error of this class for whatever was thrown: a {@link CryptoError} as it is, anything else as `ERR_INTERNAL`.
 *
 * The message of a foreign error is dropped, since it may quote what the provider was given; its class, its code and its
 * stack frames are kept.
 */
export const toCryptoError = (error: unknown, context: ErrorContext): CryptoError => {
  if (isCryptoError(error)) return error;
  const where = [context.provider, context.operation].filter(Boolean).join(" ");
  return new CryptoError("ERR_INTERNAL", `${where} failed with an unexpected ${kindOf(error)}`, {
    context,
    cause: withoutMessage(error),
  });
};

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

const kindOf = (error: unknown): string => {
  if (!(error instanceof Error)) return typeof error;
  const code = "code" in error ? error.code : undefined;
  return [error.name, code]
    .filter((part) => typeof part === "string" && IDENTIFIER.test(part))
    .join(" ");
};

const withoutMessage = (error: unknown): Error | undefined => {
  if (!(error instanceof Error)) return undefined;
  const bare = new Error(kindOf(error));
  const frames = (error.stack ?? "").replace(error.message, "").split("\n");
  bare.stack = [bare.message, ...frames.filter((line) => /^ {4}at /.test(line))].join("\n");
  return bare;
};
