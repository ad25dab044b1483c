import {
  CryptoError,
  type CryptoErrorCode,
  decryptionFailed,
  isCryptoError,
  type Operation,
} from "@lango/crypto-core";
import { IntegrityMismatch } from "./checksum.ts";

/** What an error is about. */
export interface ErrorScope {
  readonly operation: Operation;
  readonly keyId?: string | undefined;
}

interface StatusFacts {
  readonly status: string;
  readonly code: CryptoErrorCode;
  readonly hint?: string;
}

/**
 * The status codes of gRPC; over REST google-gax maps the status name of the answer, or its HTTP status, to them.
 *
 * @see https://grpc.io/docs/guides/status-codes/
 */
export const STATUS_CODES: Readonly<Record<number, StatusFacts>> = {
  // Not our own abort, which rejects with the signal's reason: the connection went away.
  1: { status: "CANCELLED", code: "ERR_UNAVAILABLE" },
  2: { status: "UNKNOWN", code: "ERR_INTERNAL" },
  3: { status: "INVALID_ARGUMENT", code: "ERR_INVALID_ARGUMENT" },
  4: { status: "DEADLINE_EXCEEDED", code: "ERR_TIMEOUT" },
  5: { status: "NOT_FOUND", code: "ERR_KEY_NOT_FOUND" },
  6: { status: "ALREADY_EXISTS", code: "ERR_CONFLICT" },
  7: {
    status: "PERMISSION_DENIED",
    code: "ERR_ACCESS_DENIED",
    hint: "Grant the permission on the key or its key ring, or see whether the key exists: the service does not tell the two apart",
  },
  8: { status: "RESOURCE_EXHAUSTED", code: "ERR_RATE_LIMITED" },
  9: { status: "FAILED_PRECONDITION", code: "ERR_KEY_DISABLED" },
  // Another change of the same key was under way: the service answers, so it is no unavailability.
  10: { status: "ABORTED", code: "ERR_BUSY" },
  11: { status: "OUT_OF_RANGE", code: "ERR_INVALID_ARGUMENT" },
  12: { status: "UNIMPLEMENTED", code: "ERR_UNSUPPORTED" },
  13: { status: "INTERNAL", code: "ERR_UNAVAILABLE" },
  14: { status: "UNAVAILABLE", code: "ERR_UNAVAILABLE" },
  15: { status: "DATA_LOSS", code: "ERR_INTEGRITY" },
  16: {
    status: "UNAUTHENTICATED",
    code: "ERR_ACCESS_DENIED",
    hint: "Renew the Application Default Credentials: gcloud auth application-default login",
  },
};
const INVALID_ARGUMENT = 3;
const FAILED_PRECONDITION = 9;
export const UNAUTHENTICATED = 16;

/** The gRPC status code of an error of google-gax, or `undefined`. */
export const statusOf = (error: unknown): number | undefined => {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "number" && Object.hasOwn(STATUS_CODES, code) ? code : undefined;
};

/** The error for a response, or a request, that did not come through as it was sent, several times in a row. */
export const integrityError = ({ message }: IntegrityMismatch, scope: ErrorScope): CryptoError =>
  fail(
    "ERR_INTEGRITY",
    `gcp-kms ${scope.operation}: ${message}, however often it was asked`,
    scope,
    "Something between here and Cloud KMS alters data: look at proxies; name the project by its id, not its number",
  );

/** The state in a message such as `… is not enabled, current state is: DISABLED.` */
const stateIn = (error: unknown): string | undefined =>
  /current state is:? ([A-Z_]+)/.exec(messageOf(error))?.[1];

/** Whether the service complains of a checksum: its INVALID_ARGUMENT means the way to it, not the argument. */
const isChecksumComplaint = (error: unknown): boolean =>
  statusOf(error) === INVALID_ARGUMENT &&
  /checksum in field \w+ did not match|crc32c/i.test(messageOf(error));

/** An error with our code and context. */
export const fail = (
  code: CryptoErrorCode,
  message: string,
  { operation, keyId }: ErrorScope,
  hint?: string,
): CryptoError =>
  new CryptoError(code, message, {
    context: {
      provider: "gcp-kms",
      operation,
      ...(keyId !== undefined && { keyId }),
      ...(hint !== undefined && { hint }),
    },
  });

/** Why a version that is not enabled cannot be used. */
export const stateError = (name: string, state: string, scope: ErrorScope): CryptoError => {
  if (/^PENDING_(GENERATION|IMPORT)$/.test(state)) {
    return fail("ERR_BUSY", `${name} is not ready yet: ${state}`, scope, "Try again in a moment");
  }
  return fail("ERR_KEY_DISABLED", `${name} is not enabled: ${state}`, scope);
};

/**
 * An error of this class for whatever a call of the SDK rejected with. The SDK's error is not kept: over REST it holds
 * the request, and its message may quote it.
 */
export const toProviderError = (
  error: unknown,
  scope: ErrorScope,
): CryptoError | IntegrityMismatch => {
  if (isCryptoError(error) || error instanceof IntegrityMismatch) return error;
  const { operation, keyId = "" } = scope;
  const status = statusOf(error);
  if (status === undefined) return withoutStatus(error, scope);
  if (isChecksumComplaint(error)) return new IntegrityMismatch("a checksum did not match there");
  if (status === UNAUTHENTICATED && isNetworkFault(error)) {
    return fail("ERR_UNAVAILABLE", "gcp-kms: the token service could not be reached", scope);
  }
  if (UNTRUSTED.test(messageOf(error))) return untrusted(scope);
  const state = status === FAILED_PRECONDITION ? stateIn(error) : undefined;
  if (state !== undefined) return stateError(`Key ${keyId}`, state, scope);
  // There is no other code for a wrong key, wrong AAD or altered bytes.
  if (status === INVALID_ARGUMENT && (operation === "decrypt" || operation === "unwrapKey")) {
    return decryptionFailed("Cloud KMS answered INVALID_ARGUMENT");
  }
  const { status: name, code, hint } = STATUS_CODES[status]!;
  const permission = /'(cloudkms\.[A-Za-z.]{1,80})'/.exec(messageOf(error))?.[1];
  const detail = permission === undefined ? "" : `: ${permission} is not granted`;
  return fail(code, `gcp-kms ${operation}: Cloud KMS answered ${name}${detail}`, scope, hint);
};

/** The error for credentials that could not be found or read, before any call. */
export const credentialsError = (error: unknown, scope: ErrorScope): CryptoError => {
  if (isNetworkFault(error)) {
    return fail("ERR_UNAVAILABLE", "gcp-kms: the token service could not be reached", scope);
  }
  return fail(
    "ERR_ACCESS_DENIED",
    "gcp-kms: no usable Application Default Credentials",
    scope,
    "Run gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS to a credentials file",
  );
};

const withoutStatus = (error: unknown, scope: ErrorScope): CryptoError => {
  if (isNetworkFault(error)) {
    return fail("ERR_UNAVAILABLE", "gcp-kms: Cloud KMS could not be reached", scope);
  }
  const kind = error instanceof Error ? error.name : typeof error;
  return fail(
    "ERR_INTERNAL",
    `gcp-kms ${scope.operation} failed with an unexpected ${kind}`,
    scope,
  );
};

// In the words of grpc-js and of gaxios, which keep no code of it. Whoever answered is not the service; no retry mends that.
const UNTRUSTED = /(?:No connection established|failed, reason:).*certificate/s;
const untrusted = ({ operation, keyId }: ErrorScope): CryptoError =>
  new CryptoError(
    "ERR_UNAVAILABLE",
    `gcp-kms ${operation}: the certificate of whoever answered is not trusted`,
    {
      context: {
        ...{ provider: "gcp-kms", operation },
        ...(keyId !== undefined && { keyId }),
        hint: "Check the endpoint, the clock, and NODE_EXTRA_CA_CERTS where a proxy opens TLS",
      },
      retryable: false,
    },
  );

const NETWORK =
  /\b(?:ECONNREFUSED|ECONNRESET|ECONNABORTED|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|socket hang up|network timeout|fetch failed)\b/;

const isNetworkFault = (error: unknown): boolean => {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return NETWORK.test(code) || NETWORK.test(messageOf(error));
};

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : "");
