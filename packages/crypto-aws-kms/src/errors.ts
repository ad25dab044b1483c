import {
  CryptoError,
  type CryptoErrorCode,
  connectionFault,
  decryptionFailed,
  type ErrorContext,
  isCryptoError,
  type Operation,
  toCryptoError,
} from "@lango/crypto-core";

/** What an error of the service becomes. */
export interface ErrorFacts {
  readonly code: CryptoErrorCode;
  /** What it means, for the message; no word of the service's own message is repeated. */
  readonly means: string;
  readonly hint?: string;
  readonly retryable?: false;
}

const throttled: ErrorFacts = { code: "ERR_RATE_LIMITED", means: "the request rate is exceeded" };
const unavailable: ErrorFacts = { code: "ERR_UNAVAILABLE", means: "the service did not do it" };
const unreachable: ErrorFacts = {
  code: "ERR_UNAVAILABLE",
  means: "the service cannot be reached",
  hint: "Check the network, the region and the endpoint",
};
const expired: ErrorFacts = {
  // A refusal is an answer: a fallback would hide that somebody has to sign in.
  code: "ERR_ACCESS_DENIED",
  means: "the credentials have expired, and fresh ones were asked for in vain",
  hint: "Give credentials as a function or through the SDK's chain, which fetches new ones, and sign in again",
};
const denied: ErrorFacts = {
  code: "ERR_ACCESS_DENIED",
  means: "the caller may not do it, or the key's policy says nothing of the caller",
  hint: "The README of @lango/crypto-aws-kms has the least-privilege policy",
};
const badCredentials: ErrorFacts = {
  code: "ERR_ACCESS_DENIED",
  means: "AWS does not accept the credentials",
  hint: "Check access key, session token and the clock of this machine",
};
const noCredentials: ErrorFacts = {
  code: "ERR_ACCESS_DENIED",
  means: "no credentials were found",
  hint: "Set AWS_PROFILE or the other variables of the AWS SDK's credential chain, or sign in with aws sso login",
};
const keyState: ErrorFacts = {
  code: "ERR_KEY_DISABLED",
  means: "the key is disabled, scheduled for deletion or without material",
};
const notFound: ErrorFacts = { code: "ERR_KEY_NOT_FOUND", means: "no such key" };
const badBytes: ErrorFacts = { code: "ERR_DECRYPTION_FAILED", means: "not made by that key" };
const badArgument: ErrorFacts = {
  code: "ERR_INVALID_ARGUMENT",
  means: "the request is ill-formed",
};
const conflict: ErrorFacts = { code: "ERR_CONFLICT", means: "the name or the key is in use" };
const noRegion: ErrorFacts = {
  code: "ERR_CONFIG",
  means: "no region is configured",
  hint: "Set security.kms.region, or AWS_REGION",
};

/** Errors by the name that the service or the SDK gives them. AWS throttles with status 400, so the name decides first. */
export const ERRORS: Readonly<Record<string, ErrorFacts>> = {
  ThrottlingException: throttled,
  Throttling: throttled,
  TooManyRequestsException: throttled,
  RequestLimitExceeded: throttled,

  KMSInternalException: unavailable,
  DependencyTimeoutException: unavailable,
  KeyUnavailableException: unavailable,
  InternalFailure: unavailable,
  ServiceUnavailable: unavailable,
  ServiceUnavailableException: unavailable,
  TimeoutError: unavailable,

  ExpiredTokenException: expired,
  ExpiredToken: expired,

  AccessDeniedException: denied,
  InvalidGrantTokenException: denied,
  OptInRequired: denied,
  UnrecognizedClientException: badCredentials,
  InvalidClientTokenId: badCredentials,
  InvalidSignatureException: badCredentials,
  IncompleteSignature: badCredentials,
  MissingAuthenticationToken: badCredentials,
  MissingAuthenticationTokenException: badCredentials,
  CredentialsProviderError: noCredentials,

  DisabledException: keyState,
  KMSInvalidStateException: keyState,

  NotFoundException: notFound,
  InvalidArnException: notFound,

  InvalidCiphertextException: badBytes,
  IncorrectKeyException: badBytes,

  InvalidKeyUsageException: { code: "ERR_KEY_USAGE", means: "the key is for something else" },
  ValidationException: badArgument,
  InvalidAliasNameException: badArgument,
  LimitExceededException: {
    code: "ERR_INVALID_ARGUMENT",
    means: "a quota of the account or the key is used up",
    hint: "See the Service Quotas of AWS KMS; waiting does not help",
  },
  UnsupportedOperationException: {
    code: "ERR_UNSUPPORTED",
    means: "AWS KMS does not do that with this key",
  },

  AlreadyExistsException: conflict,
  ConflictException: conflict,
};

const impostor: ErrorFacts = {
  code: "ERR_UNAVAILABLE",
  means: "the certificate of whoever answered is not trusted",
  hint: "Check the endpoint, the clock, and NODE_EXTRA_CA_CERTS where a proxy opens TLS",
  retryable: false,
};

/** Tells whether the service refused the call because the credentials have expired. */
export const isExpired = (error: unknown): boolean => ERRORS[nameOf(error)] === expired;

/** Tells an answer of the service that is no fault but a finding. */
export function isNamed(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name;
}

/** The error of our own for whatever a call of the SDK threw. Its message holds no word of the service's. */
export function mapError(error: unknown, operation: Operation, keyId?: string): CryptoError {
  const context: ErrorContext = {
    provider: "aws-kms",
    operation,
    ...(keyId !== undefined && { keyId }),
  };
  if (isCryptoError(error)) return error;
  const facts = factsOf(error);
  if (facts === undefined) return toCryptoError(error, context);
  // One message for a wrong key, wrong AAD and altered bytes.
  if (facts === badBytes) return decryptionFailed(nameOf(error));
  const { code, means, hint, retryable } = facts;
  return new CryptoError(code, `AWS KMS ${operation}: ${means} (${labelOf(error)})`, {
    context: { ...context, ...(hint !== undefined && { hint }) },
    ...(retryable !== undefined && { retryable }),
  });
}

function factsOf(error: unknown): ErrorFacts | undefined {
  const name = nameOf(error);
  if (Object.hasOwn(ERRORS, name)) return ERRORS[name];
  const { code, message, $metadata } = error as Partial<Record<string, unknown>>;
  const fault = connectionFault(code);
  if (fault !== undefined) return fault === "untrusted" ? impostor : unreachable;
  if (message === "Region is missing") return noRegion;
  const status = ($metadata as { httpStatusCode?: unknown } | undefined)?.httpStatusCode;
  if (status === 429) return throttled;
  if (status === 401 || status === 403) return denied;
  // A success that cannot be read: somebody on the way answered, or cut the answer short.
  const unreadable = status === 200 && error instanceof SyntaxError;
  return unreadable || (typeof status === "number" && status >= 500) ? unavailable : undefined;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : "";
}

/** Name and request id: what AWS's support asks for. */
function labelOf(error: unknown): string {
  const { $metadata, code } = error as { $metadata?: { requestId?: unknown }; code?: unknown };
  const name = typeof code === "string" ? `${nameOf(error)} ${code}` : nameOf(error);
  const id = $metadata?.requestId;
  return typeof id === "string" && /^[A-Za-z0-9-]{1,64}$/.test(id)
    ? `${name}, request ${id}`
    : name;
}
