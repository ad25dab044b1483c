import * as z from "zod";
import { base64 } from "./bytes.ts";
import { MAX_AAD_BYTES, MAX_VALUE_BYTES, type MethodName, type Methods } from "./methods.ts";

type Wire = Readonly<Record<string, unknown>>;
/** From what is on the wire to what the code sees; `z.encode` goes the other way. */
export type Schemas = {
  readonly [M in MethodName]: {
    readonly params: z.ZodType<Methods[M]["params"], Wire>;
    readonly result: z.ZodType<Methods[M]["result"], Wire>;
  };
};

const keyId = z.string().min(1).max(512);
const keyVersion = z.string().min(1).max(128);
const value = base64(MAX_VALUE_BYTES);
/** What a value becomes: room for nonce, tag and header of any provider. */
const sealed = base64(MAX_VALUE_BYTES + 1024);
const wrappable = base64(512);
const wrapped = base64(2048);
const aad = base64(MAX_AAD_BYTES).optional();
const key = { keyId };
const used = { keyId, keyVersion };

const keyAlgorithm = z.enum([
  "aes-256-gcm",
  "hmac-sha256",
  "hmac-sha384",
  "hmac-sha512",
  "ecdsa-p256",
  "ecdsa-p384",
  "secp256k1",
  "ed25519",
  "rsa-2048",
  "rsa-3072",
  "rsa-4096",
]);
const signatureAlgorithm = z.enum([
  "ecdsa-p256-sha256",
  "ecdsa-p384-sha384",
  "ecdsa-secp256k1-sha256",
  "ed25519",
  "rsa-pss-sha256",
  "rsa-pss-sha384",
  "rsa-pss-sha512",
  "rsa-pkcs1-sha256",
  "rsa-pkcs1-sha384",
  "rsa-pkcs1-sha512",
]);
const macAlgorithm = z.enum(["hmac-sha256", "hmac-sha384", "hmac-sha512"]);

/** A key as `listKeys` tells it; see KeyDescription of crypto-core. */
const description = z.strictObject({
  ...used,
  algorithm: keyAlgorithm,
  usage: z.enum(["encryption", "signing", "mac"]),
  state: z.enum(["enabled", "disabled", "pending"]),
  protection: z.enum(["software", "hsm", "remote"]),
  createdAt: z.int().optional(),
});

const method = <P extends z.ZodRawShape, R extends z.ZodRawShape>(params: P, result: R) => ({
  params: z.strictObject(params),
  result: z.strictObject(result),
});

/** Every method: what is asked, and what is answered. Unknown members are refused on both sides. */
export const schemas: Schemas = {
  encrypt: method({ ...key, plaintext: value, aad }, { ...used, ciphertext: sealed }),
  decrypt: method(
    { ...key, ciphertext: sealed, aad, keyVersion: keyVersion.optional() },
    { plaintext: value },
  ),
  wrapKey: method({ ...key, key: wrappable, aad }, { ...used, wrappedKey: wrapped }),
  unwrapKey: method(
    { ...key, wrappedKey: wrapped, aad, keyVersion: keyVersion.optional() },
    { key: wrappable },
  ),
  /** Exactly one of `message` and `digest`. */
  sign: method(
    {
      ...key,
      message: value.optional(),
      digest: base64(64).optional(),
      algorithm: signatureAlgorithm.optional(),
    },
    { ...used, signature: base64(1024), algorithm: signatureAlgorithm },
  ),
  mac: method(
    { ...key, message: value, keyVersion: keyVersion.optional() },
    { ...used, mac: base64(64), algorithm: macAlgorithm },
  ),
  getPublicKey: method(
    { ...key, keyVersion: keyVersion.optional() },
    { ...used, publicKey: base64(2048), algorithm: keyAlgorithm },
  ),
  /** With `keyId`: that key alone, or ERR_KEY_NOT_FOUND. */
  listKeys: method(
    { keyId: keyId.optional(), cursor: z.string().max(512).optional() },
    { keys: z.array(description).max(256), cursor: z.string().max(512).optional() },
  ),
  /** `commitment`: 32 bytes over the whole action; `summary`: lines for the person, already free of control characters. */
  "approval.request": method(
    {
      commitment: base64(32, 32),
      summary: z.array(z.string().max(1000)).max(32),
      dangerous: z.boolean(),
      /** Milliseconds since the epoch. */
      expiresAt: z.int(),
    },
    {
      approved: z.boolean(),
      /** ECDSA P-256 r‖s, 64 bytes, by the key of the companion's certificate; empty in compatibility mode. */
      signature: base64(64),
      /** Milliseconds since the epoch, of the companion's clock. */
      decidedAt: z.int(),
    },
  ),
  "wallet.address": method(
    { keyId: keyId.optional() },
    { keyId, address: z.string().regex(/^0x[0-9a-fA-F]{40}$/) },
  ),
  /** `transaction`: the unsigned EIP-2718 or RLP bytes; `message`: signed as EIP-191 version 0x45. Exactly one. */
  "wallet.sign": method(
    {
      keyId: keyId.optional(),
      transaction: value.optional(),
      message: value.optional(),
    },
    /** r‖s with low s, then the recovery bit (0 or 1): 65 bytes. */
    { ...used, signature: base64(65, 65) },
  ),
  status: method(
    {},
    {
      name: z.string().max(128),
      /** Whether a person has to say yes before keys are used. */
      asks: z.boolean(),
      keys: z.int().min(0),
    },
  ),
  /** The caller's next certificate: its pin, and a signature by its key over the binding of the channel and the old pin. */
  rollover: method(
    { certificate: base64(4096), signature: base64(64, 64) },
    { accepted: z.boolean() },
  ),
};
