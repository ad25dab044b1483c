import { isBytes } from "./bytes.ts";
import { CryptoError, type CryptoErrorCode } from "./errors.ts";
import type {
  CallOptions,
  CryptoProvider,
  KeyAlgorithm,
  KeyUsage,
  Operation,
  ProviderCapabilities,
  SignatureAlgorithm,
} from "./provider.ts";
import { MAX_TIMER_MS } from "./resilience/numbers.ts";

/** Largest `keyId` and `keyVersion`. */
const MAX_NAME_CHARACTERS = 2048;
const CONTROL = /\p{Cc}/u;
const MIN_WRAP_BYTES = 16;
const MAX_RANDOM_BYTES = 1024;

const USAGES: Readonly<Record<KeyUsage, readonly KeyAlgorithm[]>> = {
  encryption: ["aes-256-gcm", "rsa-2048", "rsa-3072", "rsa-4096"],
  signing: ["ecdsa-p256", "ecdsa-p384", "secp256k1", "ed25519", "rsa-2048", "rsa-3072", "rsa-4096"],
  mac: ["hmac-sha256", "hmac-sha384", "hmac-sha512"],
};

/** A request before it is known to be right. */
type Fields = Readonly<Record<string, unknown>>;
type Capabilities = ProviderCapabilities;

interface Fault {
  readonly code: CryptoErrorCode;
  readonly message: string;
}
type Verdict = Fault | undefined;

/**
 * Checks a request against the contract and against what the provider says it can do.
 *
 * @throws {@link CryptoError} `ERR_UNSUPPORTED` for an operation, algorithm, digest or AAD that the provider does not
 *   offer; `ERR_INVALID_ARGUMENT` for a wrong type or a size out of range. No message repeats a value that was given.
 */
export const checkRequest = (
  provider: CryptoProvider,
  operation: Operation,
  request: CallOptions,
): void => {
  const fault = findFault(provider, operation, request);
  if (fault === undefined) return;
  throw new CryptoError(fault.code, `${provider.name} ${operation}: ${fault.message}`, {
    context: { provider: provider.name, operation },
  });
};

const findFault = (provider: CryptoProvider, operation: Operation, request: unknown): Verdict => {
  const { capabilities } = provider;
  const offered = capabilities.operations.includes(operation) && provider[operation] !== undefined;
  if (!offered && operation !== "health") return unsupported("not offered by this provider");
  if (typeof request !== "object" || request === null) return invalid("the request is no object");
  const fields = request as Fields;
  return checkOptions(fields) ?? CHECKS[operation](fields, capabilities);
};

const CHECKS: Readonly<Record<Operation, (fields: Fields, capabilities: Capabilities) => Verdict>> =
  {
    encrypt: (f, c) =>
      checkKeyId(f) ?? checkBytes(f, "plaintext", 0, c.maxPlaintextBytes) ?? checkAad(f, c.aad, c),
    decrypt: (f, c) =>
      checkKeyId(f) ?? checkBytes(f, "ciphertext") ?? checkAad(f, c.aad, c) ?? checkVersion(f),
    sign: (f, c) => checkKeyId(f) ?? checkSignable(f, c),
    verify: (f, c) =>
      checkKeyId(f) ?? checkSignable(f, c) ?? checkBytes(f, "signature") ?? checkVersion(f),
    mac: (f) => checkKeyId(f) ?? checkBytes(f, "message"),
    verifyMac: (f) =>
      checkKeyId(f) ?? checkBytes(f, "message") ?? checkBytes(f, "mac") ?? checkVersion(f),
    wrapKey: (f, c) =>
      checkKeyId(f) ??
      checkBytes(f, "key", MIN_WRAP_BYTES, c.maxWrapBytes) ??
      checkAad(f, c.wrapAad, c),
    unwrapKey: (f, c) =>
      checkKeyId(f) ?? checkBytes(f, "wrappedKey") ?? checkAad(f, c.wrapAad, c) ?? checkVersion(f),
    rewrapKey: (f, c) => CHECKS.unwrapKey(f, c) ?? checkName(f["toKeyId"], "toKeyId"),
    getPublicKey: (f) => checkKeyId(f) ?? checkVersion(f),
    createKey: (f, c) =>
      (f["keyId"] === undefined ? undefined : checkKeyId(f)) ?? checkNewKey(f, c),
    rotateKey: (f) => checkKeyId(f),
    describeKey: (f) => checkKeyId(f),
    listKeys: () => undefined,
    random: (f) => checkInteger(f["bytes"], "bytes", 1, MAX_RANDOM_BYTES),
    health: (f) => (f["keyId"] === undefined ? undefined : checkKeyId(f)),
  };

const invalid = (message: string): Fault => ({ code: "ERR_INVALID_ARGUMENT", message });
const unsupported = (message: string): Fault => ({ code: "ERR_UNSUPPORTED", message });

const checkOptions = ({ signal, timeoutMs }: Fields): Verdict => {
  // By its shape: a signal of another realm, or of a polyfill, is as good.
  if (
    signal !== undefined &&
    typeof (signal as AbortSignal | null)?.addEventListener !== "function"
  ) {
    return invalid("signal is no AbortSignal");
  }
  return timeoutMs === undefined
    ? undefined
    : checkInteger(timeoutMs, "timeoutMs", 1, MAX_TIMER_MS);
};

const checkInteger = (value: unknown, field: string, min: number, max: number): Verdict =>
  typeof value === "number" && Number.isInteger(value) && value >= min && value <= max
    ? undefined
    : invalid(`${field} must be an integer from ${min} to ${max}`);

const checkName = (value: unknown, field: string): Verdict =>
  typeof value === "string" &&
  value !== "" &&
  value.length <= MAX_NAME_CHARACTERS &&
  !CONTROL.test(value)
    ? undefined
    : invalid(
        `${field} must be 1 to ${MAX_NAME_CHARACTERS} characters, none of them a control character`,
      );

const checkKeyId = ({ keyId }: Fields): Verdict => checkName(keyId, "keyId");

const checkVersion = ({ keyVersion }: Fields): Verdict =>
  keyVersion === undefined ? undefined : checkName(keyVersion, "keyVersion");

const checkBytes = (
  fields: Fields,
  field: string,
  min = 0,
  max = Number.POSITIVE_INFINITY,
): Verdict => {
  const value = fields[field];
  if (!isBytes(value)) return invalid(`${field} must be a Uint8Array`);
  if (value.length >= min && value.length <= max) return undefined;
  return invalid(`${field} has ${value.length} bytes; ${min} to ${max} are allowed`);
};

/** Absent and empty mean the same, so an empty AAD needs no support. */
const checkAad = (fields: Fields, offered: boolean, { maxAadBytes }: Capabilities): Verdict => {
  const { aad } = fields;
  if (aad === undefined) return undefined;
  if (isBytes(aad) && aad.length > 0 && !offered)
    return unsupported("associated data (aad) is not offered");
  return checkBytes(fields, "aad", 0, maxAadBytes);
};

const checkSignable = (
  fields: Fields,
  { signDigest, signatureAlgorithms }: Capabilities,
): Verdict => {
  const { message, digest, algorithm } = fields;
  if ((message === undefined) === (digest === undefined)) {
    return invalid("exactly one of message and digest must be given");
  }
  if (algorithm !== undefined && !signatureAlgorithms.includes(algorithm as SignatureAlgorithm)) {
    return unsupported("the algorithm is not offered by this provider");
  }
  if (digest === undefined) return checkBytes(fields, "message");
  // RFC 8032: Ed25519 hashes the message itself, twice; there is no digest to give it.
  if (!signDigest || algorithm === "ed25519")
    return unsupported("a digest cannot be signed; give the message");
  return checkBytes(fields, "digest") ?? checkDigestLength(digest as Uint8Array, algorithm);
};

const checkDigestLength = ({ length }: Uint8Array, algorithm: unknown): Verdict => {
  const bits = typeof algorithm === "string" ? /-sha(\d+)$/.exec(algorithm)?.[1] : undefined;
  const allowed = bits === undefined ? [32, 48, 64] : [Number(bits) / 8];
  return allowed.includes(length)
    ? undefined
    : invalid(`digest has ${length} bytes; ${allowed.join(" or ")} are allowed`);
};

const checkNewKey = ({ algorithm, usage }: Fields, { keyAlgorithms }: Capabilities): Verdict => {
  if (!keyAlgorithms.includes(algorithm as KeyAlgorithm)) {
    return unsupported("the key algorithm is not offered by this provider");
  }
  const fits =
    Object.hasOwn(USAGES, String(usage)) &&
    USAGES[usage as KeyUsage].includes(algorithm as KeyAlgorithm);
  return fits ? undefined : invalid("usage must be one that the algorithm allows");
};
