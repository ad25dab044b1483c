import { CryptoError } from "./errors.ts";

/** The parts of a key URI such as `local:default` or `aws-kms:arn:aws:kms:eu-west-1:…`. */
export interface KeyUri {
  /** The provider's name: a lower-case letter, then letters, digits and hyphens; at most 64 characters. */
  readonly scheme: string;
  /** The provider's own name of the key, unchanged. Not empty. */
  readonly keyId: string;
}

/** Largest key URI in UTF-8 bytes. */
export const MAX_KEY_URI_BYTES = 2048;

const SCHEME = /^[a-z][a-z0-9-]{0,63}$/;
// C0, DEL and C1 (Unicode category Cc): they would forge lines of logs and prompts.
const CONTROL = /\p{Cc}/u;

// RFC 7512 §2.3, §2.4: these would let stored data choose code to load, or hold a PIN.
const REFUSED = new Set(["module-path", "module-name", "pin-value", "pin-source"]);

/**
 * Splits a key URI at its first colon.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a missing or ill-formed scheme, an empty key id, control
 *   characters, more than 2048 bytes, and the attributes `module-path`, `module-name`, `pin-value` and `pin-source` of
 *   RFC 7512. The message does not repeat the URI, which may hold a PIN.
 */
export const parseKeyUri = (uri: string): KeyUri => {
  if (typeof uri !== "string") throw invalid(`is not a string but ${typeof uri}`);
  const colon = uri.indexOf(":");
  if (colon < 0) throw invalid("has no scheme");
  const scheme = uri.slice(0, colon);
  const keyId = uri.slice(colon + 1);
  check(scheme, keyId);
  return { scheme, keyId };
};

/**
 * Joins a provider's name and its name of a key; `parseKeyUri` gives them back.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for whatever {@link parseKeyUri} refuses.
 */
export const formatKeyUri = (scheme: string, keyId: string): string => {
  check(scheme, keyId);
  return `${scheme}:${keyId}`;
};

const check = (scheme: string, keyId: string): void => {
  if (!SCHEME.test(scheme)) throw invalid("has an ill-formed scheme");
  if (keyId === "") throw invalid("names no key");
  const bytes = Buffer.byteLength(keyId) + scheme.length + 1;
  if (bytes > MAX_KEY_URI_BYTES) {
    throw invalid(`has ${bytes} bytes, more than ${MAX_KEY_URI_BYTES}`);
  }
  if (CONTROL.test(keyId)) throw invalid("has a control character");
  if (!keyId.isWellFormed()) throw invalid("is not valid Unicode");
  // For every scheme: a provider of a third party may read PKCS#11 URIs under a name of its own.
  for (const attribute of keyId.split(/[;?&]/)) {
    const name = attributeName(attribute);
    if (REFUSED.has(name)) {
      throw new CryptoError("ERR_INVALID_ARGUMENT", `Key URI may not have the attribute ${name}`, {
        context: { hint: "Set the module and the PIN in the configuration of the provider" },
      });
    }
  }
};

/** The name as the most lenient reader would take it: decoded, trimmed, in lower case. */
const attributeName = (attribute: string): string => {
  const name = attribute.split("=", 1)[0] ?? "";
  return name
    .replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    .trim()
    .toLowerCase();
};

const invalid = (fault: string): CryptoError =>
  new CryptoError("ERR_INVALID_ARGUMENT", `Key URI ${fault}`, {
    context: { hint: "A key URI is <provider>:<key>, e.g. local:default" },
  });
