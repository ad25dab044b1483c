import {
  CryptoError,
  type CryptoErrorCode,
  decryptionFailed,
  type ErrorContext,
} from "@lango/crypto-core";
import type { Failure } from "./protocol.ts";

/** How a failure of the module is treated; peers of the same class behave alike. */
export type FailureClass =
  | "throttled"
  | "unavailable"
  | "hung"
  | "session lost"
  | "unclear"
  | "denied"
  | "key usage"
  | "not found"
  | "conflict"
  | "bad argument"
  | "unsupported"
  | "configuration"
  | "not installed"
  | "internal";

const CODES: Readonly<Record<FailureClass, CryptoErrorCode>> = {
  throttled: "ERR_RATE_LIMITED",
  unavailable: "ERR_UNAVAILABLE",
  hung: "ERR_TIMEOUT",
  // After one new session and login, if the operation may be repeated.
  "session lost": "ERR_UNAVAILABLE",
  unclear: "ERR_INTERNAL",
  denied: "ERR_ACCESS_DENIED",
  "key usage": "ERR_KEY_USAGE",
  "not found": "ERR_KEY_NOT_FOUND",
  conflict: "ERR_CONFLICT",
  "bad argument": "ERR_INVALID_ARGUMENT",
  unsupported: "ERR_UNSUPPORTED",
  configuration: "ERR_CONFIG",
  "not installed": "ERR_PROVIDER_NOT_INSTALLED",
  internal: "ERR_INTERNAL",
};

/** Every return value that has a class; all others are `internal`. The README's table is this one. */
export const FAILURE_CLASSES: Readonly<Record<string, FailureClass>> = {
  CKR_SESSION_COUNT: "throttled",
  CKR_HOST_MEMORY: "throttled",
  CKR_DEVICE_MEMORY: "throttled",

  CKR_DEVICE_ERROR: "unavailable",
  CKR_DEVICE_REMOVED: "unavailable",
  CKR_TOKEN_NOT_PRESENT: "unavailable",
  CKR_TOKEN_NOT_RECOGNIZED: "unavailable",
  CKR_SLOT_ID_INVALID: "unavailable",
  CKR_FUNCTION_FAILED: "unavailable",
  CKR_FUNCTION_CANCELED: "unavailable",
  // The process of the module was killed, or died of the module.
  PROCESS_ENDED: "unavailable",
  PROCESS_HUNG: "hung",

  CKR_SESSION_HANDLE_INVALID: "session lost",
  CKR_SESSION_CLOSED: "session lost",
  CKR_USER_NOT_LOGGED_IN: "session lost",
  CKR_CRYPTOKI_NOT_INITIALIZED: "session lost",
  // The session is stuck in an operation that broke off.
  CKR_OPERATION_ACTIVE: "session lost",
  CKR_OPERATION_NOT_INITIALIZED: "session lost",
  NO_SESSION: "session lost",

  // "Some horrible, unrecoverable error": it says neither that the token is away nor that the call was wrong. So there is no
  // retry and no fallback, but the next call gets a new process.
  CKR_GENERAL_ERROR: "unclear",

  CKR_PIN_INCORRECT: "denied",
  CKR_PIN_INVALID: "denied",
  CKR_PIN_LEN_RANGE: "denied",
  CKR_PIN_EXPIRED: "denied",
  CKR_PIN_LOCKED: "denied",
  CKR_USER_PIN_NOT_INITIALIZED: "denied",
  CKR_USER_ANOTHER_ALREADY_LOGGED_IN: "denied",
  CKR_ACTION_PROHIBITED: "denied",
  CKR_TOKEN_WRITE_PROTECTED: "denied",
  CKR_SESSION_READ_ONLY: "denied",

  CKR_KEY_FUNCTION_NOT_PERMITTED: "key usage",
  CKR_KEY_TYPE_INCONSISTENT: "key usage",
  CKR_KEY_NOT_WRAPPABLE: "key usage",
  CKR_KEY_UNEXTRACTABLE: "key usage",

  // After it was looked for again.
  CKR_KEY_HANDLE_INVALID: "not found",
  CKR_OBJECT_HANDLE_INVALID: "not found",
  OBJECT_GONE: "not found",
  OBJECT_AMBIGUOUS: "conflict",

  CKR_MECHANISM_INVALID: "unsupported",
  CKR_MECHANISM_PARAM_INVALID: "unsupported",
  CKR_FUNCTION_NOT_SUPPORTED: "unsupported",
  CKR_DOMAIN_PARAMS_INVALID: "unsupported",
  CKR_CURVE_NOT_SUPPORTED: "unsupported",
  MECHANISM_ABSENT: "unsupported",

  CKR_DATA_INVALID: "bad argument",
  CKR_DATA_LEN_RANGE: "bad argument",
  CKR_KEY_SIZE_RANGE: "bad argument",
  CKR_TEMPLATE_INCONSISTENT: "bad argument",
  CKR_ATTRIBUTE_VALUE_INVALID: "bad argument",

  MODULE_MISSING: "configuration",
  MODULE_BROKEN: "configuration",
  PKCS11JS_MISSING: "not installed",
};

/** On decrypt and unwrap these mean: wrong key, AAD or bytes. SoftHSM says CKR_GENERAL_ERROR for a wrong tag. */
export const BAD_CIPHERTEXT: ReadonlySet<string> = new Set([
  "CKR_ENCRYPTED_DATA_INVALID",
  "CKR_ENCRYPTED_DATA_LEN_RANGE",
  "CKR_AEAD_DECRYPT_FAILED",
  "CKR_WRAPPED_KEY_INVALID",
  "CKR_WRAPPED_KEY_LEN_RANGE",
  "CKR_DATA_INVALID",
  "CKR_DATA_LEN_RANGE",
  "CKR_GENERAL_ERROR",
]);

/**
 * Whether a token refused a ciphertext. What else failed on the way there, such as a login, says nothing about it. pkcs11js does
 * not name C_Decrypt and C_UnwrapKey in what they throw.
 */
export const isBadCiphertext = ({ name, method = "" }: Failure, operation?: string): boolean =>
  BAD_CIPHERTEXT.has(name) &&
  /^(decrypt|unwrap)/.test(operation ?? "") &&
  /^(C_(Decrypt|Unwrap)|$)/.test(method);

/** A PIN that the token did not take is never given to it again: some lock after three. */
const PIN_REFUSED: ReadonlySet<string> = new Set([
  "CKR_PIN_INCORRECT",
  "CKR_PIN_INVALID",
  "CKR_PIN_LEN_RANGE",
  "CKR_PIN_EXPIRED",
  "CKR_PIN_LOCKED",
  "CKR_USER_PIN_NOT_INITIALIZED",
]);

const HINTS: Readonly<Record<string, string>> = {
  PKCS11JS_MISSING:
    "Compile the native package: npm rebuild pkcs11js; it needs Python 3, make and a C++ compiler",
  MODULE_MISSING:
    "Set modulePath to the PKCS#11 library of the token, e.g. /usr/lib/softhsm/libsofthsm2.so",
  MODULE_BROKEN: "modulePath has to name a PKCS#11 library for this machine's architecture",
  CKR_PIN_INCORRECT:
    "The PIN is not tried again. Correct LANGO_PKCS11_PIN or the PIN file, then start anew",
  CKR_PIN_LOCKED: "The security officer of the token has to set a new PIN",
};

export const classOf = ({ name }: Failure): FailureClass => FAILURE_CLASSES[name] ?? "internal";

export const isPinRefused = ({ name }: Failure): boolean => PIN_REFUSED.has(name);

/** What a caller gets for a failure of the module. */
export function toError(failure: Failure, context: ErrorContext): CryptoError {
  const { name, method, detail } = failure;
  if (isBadCiphertext(failure, context.operation))
    return decryptionFailed(`The token said ${name}`);
  const failed = classOf(failure);
  const place = method === undefined ? "" : ` from ${method}`;
  const said = MESSAGES[name] ?? `The token failed with ${name}${place}`;
  const message = detail === undefined ? said : `${said}: ${detail}`;
  const hint = HINTS[name];
  return new CryptoError(CODES[failed], message, {
    context: { ...context, provider: "pkcs11", ...(hint !== undefined && { hint }) },
  });
}

const MESSAGES: Readonly<Record<string, string>> = {
  PKCS11JS_MISSING: "The native package pkcs11js is not installed or not compiled for this Node",
  MODULE_MISSING: "There is no PKCS#11 module at modulePath",
  MODULE_BROKEN: "The file at modulePath is no PKCS#11 module that this machine can load",
  PROCESS_ENDED: "The module is gone",
  PROCESS_HUNG: "The module hung and was ended",
  NO_SESSION: "There is no session with the token",
  MECHANISM_ABSENT: "The token does not wrap keys as RFC 5649 says",
  OBJECT_GONE: "The token no longer has the key",
  OBJECT_AMBIGUOUS: "The token has two keys of that name and class",
  CKR_PIN_INCORRECT: "The token refused the PIN (CKR_PIN_INCORRECT)",
};

/** An error of this package's own. */
export function fail(
  code: CryptoErrorCode,
  message: string,
  context: ErrorContext = {},
): CryptoError {
  return new CryptoError(code, message, { context: { provider: "pkcs11", ...context } });
}
