import {
  CryptoError,
  type CryptoErrorCode,
  connectionFault,
  decryptionFailed,
  isCryptoError,
  type Operation,
  toCryptoError,
} from "@lango/crypto-core";

interface Row {
  readonly code: CryptoErrorCode;
  readonly means: string;
  readonly hint?: string;
  readonly retryable?: false;
}

/** `error.innererror.code` of an answer: the reason of a 403, where there is one. */
export const INNER_CODES: Readonly<Record<string, Row>> = {
  KeyDisabled: { code: "ERR_KEY_DISABLED", means: "the key is disabled" },
  KeyExpired: { code: "ERR_KEY_DISABLED", means: "the key has expired" },
  KeyNotYetValid: { code: "ERR_KEY_DISABLED", means: "the key is not valid yet" },
  KeyOperationForbidden: {
    code: "ERR_KEY_USAGE",
    means: "the key's key_ops do not allow it",
  },
  ForbiddenByFirewall: {
    code: "ERR_ACCESS_DENIED",
    means: "the firewall of the vault keeps this address out",
    hint: "Allow this network in the vault's networking settings",
  },
  ForbiddenByConnection: {
    code: "ERR_ACCESS_DENIED",
    means: "the vault takes private connections only",
  },
  ForbiddenByPolicy: {
    code: "ERR_ACCESS_DENIED",
    means: "the access policy does not allow it",
    hint: "The README of @lango/crypto-azure-kv lists the permissions of each operation",
  },
  ForbiddenByRbac: {
    code: "ERR_ACCESS_DENIED",
    means: "no role of this identity allows it",
    hint: "The README of @lango/crypto-azure-kv lists the permissions of each operation",
  },
  AccessDenied: { code: "ERR_ACCESS_DENIED", means: "access is denied" },
};

/** HTTP status of an answer that no inner code explains. */
export const STATUSES: Readonly<Record<number, Row>> = {
  400: { code: "ERR_INVALID_ARGUMENT", means: "the request is not valid" },
  401: {
    code: "ERR_ACCESS_DENIED",
    means: "the token was refused, a fresh one too",
    hint: "Check that the credential is of the tenant that the vault belongs to",
  },
  403: { code: "ERR_ACCESS_DENIED", means: "access is denied" },
  404: { code: "ERR_KEY_NOT_FOUND", means: "there is no such key or version" },
  408: { code: "ERR_UNAVAILABLE", means: "the request took too long" },
  409: {
    code: "ERR_CONFLICT",
    means: "the name is taken",
    hint: "A deleted key keeps its name until it is purged or recovered (az keyvault key recover)",
  },
  413: { code: "ERR_INVALID_ARGUMENT", means: "the request is too large" },
  429: { code: "ERR_RATE_LIMITED", means: "too many requests" },
};

/** What @azure/identity and @azure/core-rest-pipeline throw when there was no answer of the vault, by `name`. */
export const NAMES: Readonly<Record<string, Row>> = {
  CredentialUnavailableError: {
    code: "ERR_ACCESS_DENIED",
    means: "no credential was found",
    hint: "Sign in (az login), or set AZURE_TENANT_ID, AZURE_CLIENT_ID and a secret or certificate",
  },
  AuthenticationRequiredError: {
    code: "ERR_ACCESS_DENIED",
    means: "a person has to sign in first",
  },
  AuthenticationError: { code: "ERR_ACCESS_DENIED", means: "the credential was refused" },
  AggregateAuthenticationError: {
    code: "ERR_ACCESS_DENIED",
    means: "every credential was refused",
  },
  // Without a status: no connection, a broken one, or an answer that is no JSON.
  RestError: { code: "ERR_UNAVAILABLE", means: "there was no answer" },
};

const impostor: Row = {
  code: "ERR_UNAVAILABLE",
  means: "the certificate of whoever answered is not trusted",
  hint: "Check the clock, and set NODE_EXTRA_CA_CERTS where a proxy opens TLS",
  retryable: false,
};

// The service's reason in words, in case an inner code is missing or new.
const SENTENCES: readonly (readonly [RegExp, string])[] = [
  [/not allowed on a disabled key/i, "KeyDisabled"],
  [/not allowed on an expired key|key (?:has|is) expired/i, "KeyExpired"],
  [/not yet valid/i, "KeyNotYetValid"],
  [/not permitted on this key/i, "KeyOperationForbidden"],
];

/** Fields of the SDK's errors, none of which need be there. */
interface Failure {
  readonly name?: unknown;
  readonly message?: unknown;
  readonly code?: unknown;
  readonly statusCode?: unknown;
  readonly details?: { readonly error?: ErrorBody } | undefined;
  readonly response?: { readonly headers?: { get(name: string): string | undefined } };
  readonly errors?: readonly unknown[];
}
interface ErrorBody {
  readonly code?: string;
  readonly innerError?: ErrorBody;
}

/** The HTTP status of an answer, or `undefined`. */
export function statusOf(error: unknown): number | undefined {
  const { statusCode } = (error ?? {}) as Failure;
  return typeof statusCode === "number" ? statusCode : undefined;
}

/** Tells whether the vault refused the token. That Entra ID refuses a credential is another matter: it is not asked twice. */
export const isRefusedToken = (error: unknown): boolean =>
  statusOf(error) === 401 && (error as Failure).name === "RestError";

/**
 * One of our errors for whatever the SDK threw. Messages of the service are not passed on: only its codes are.
 *
 * @param keyId - The canonical id, where a key was named.
 */
export function toAzureKvError(error: unknown, operation: Operation, keyId?: string): CryptoError {
  if (isCryptoError(error)) return error;
  const failure = (error ?? {}) as Failure;
  const status = statusOf(error);
  const opens = operation === "decrypt" || operation === "unwrapKey";
  // Wrong key, altered bytes and wrong length are all 400 there, and one error here.
  if (status === 400 && opens && failure.name === "RestError")
    return decryptionFailed(codesOf(failure));
  const context = { provider: "azure-kv", operation, ...(keyId !== undefined && { keyId }) };
  const row = rowOf(failure, status);
  if (row === undefined) return toCryptoError(error, context);
  const hint = retryAfterOf(failure) ?? row.hint;
  const codes = codesOf(failure);
  return new CryptoError(
    row.code,
    `azure-kv ${operation}: ${row.means}${codes === "" ? "" : ` (${codes})`}`,
    {
      context: { ...context, ...(hint !== undefined && { hint }) },
      ...(row.retryable !== undefined && { retryable: row.retryable }),
    },
  );
}

function rowOf(failure: Failure, status: number | undefined): Row | undefined {
  const name = String(failure.name);
  if (name === "AggregateAuthenticationError") return rowOfChain(failure);
  if (status === 403) {
    for (const code of innerCodesOf(failure)) {
      if (Object.hasOwn(INNER_CODES, code)) return INNER_CODES[code];
    }
    const sentence = SENTENCES.find(([pattern]) => pattern.test(String(failure.message)));
    if (sentence !== undefined) return INNER_CODES[sentence[1]];
  }
  const isAnswer =
    status !== undefined && (name === "RestError" || status === 429 || status >= 500);
  if (isAnswer && status >= 500) return { code: "ERR_UNAVAILABLE", means: "the service failed" };
  if (isAnswer && status >= 400) return STATUSES[status];
  // core-rest-pipeline and MSAL, which fetches the tokens, name a connection that fails in their own ways.
  if (connectionFault(failure.code) === "untrusted") return impostor;
  if (name !== "RestError" && isNetwork(failure)) return NAMES["RestError"];
  if (/^The challenge\b/.test(String(failure.message))) {
    return { code: "ERR_ACCESS_DENIED", means: "the server asked for a token of another service" };
  }
  return Object.hasOwn(NAMES, name) ? NAMES[name] : undefined;
}

/** A chain of credentials could not be asked when one of them could not, and no other one was refused. */
function rowOfChain({ errors = [] }: Failure): Row | undefined {
  const rows = errors.map((error) => rowOf((error ?? {}) as Failure, statusOf(error)));
  const unavailable = rows.find((row) => row?.code === "ERR_UNAVAILABLE");
  const none = NAMES["CredentialUnavailableError"];
  if (unavailable === undefined && rows.every((row) => row === none)) return none;
  return unavailable ?? NAMES["AggregateAuthenticationError"];
}

const isNetwork = ({ code, message }: Failure): boolean =>
  connectionFault(code) === "unreachable" ||
  /\bnetwork_error\b|\bendpoints_resolution_error\b/.test(`${code} ${message}`);

function innerCodesOf({ details }: Failure): string[] {
  const codes: string[] = [];
  for (let body = details?.error; body !== undefined && codes.length < 8; body = body.innerError) {
    codes.push(String(body.code));
  }
  return codes;
}

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

/** What the service says in codes: status, code, inner codes. */
function codesOf(failure: Failure): string {
  const inner = innerCodesOf(failure).slice(1);
  return [String(failure.statusCode ?? ""), String(failure.code ?? ""), ...inner]
    .filter((code) => IDENTIFIER.test(code) || /^\d{3}$/.test(code))
    .join(" ");
}

/** As a sentence, since the retry of core has no place for a number; in seconds, as the service gives it. */
function retryAfterOf({ response }: Failure): string | undefined {
  const value = response?.headers?.get("retry-after");
  return value !== undefined && /^\d{1,6}$/.test(value)
    ? `The service asks to wait ${value} seconds`
    : undefined;
}
