import { createHash } from "node:crypto";
import {
  type Bytes,
  bytesEqual,
  type CryptoProvider,
  type KeyAlgorithm,
  type MacRequest,
  type MacResult,
  type Operation,
  SIGNATURE_SCHEMES,
  type Signable,
  type SignatureAlgorithm,
  verifySignature,
  zero,
} from "@lango/crypto-core";
import type { Caller } from "./caller.ts";
import { fail, type Scope } from "./errors.ts";
import { checkKeyId, type ResolveKey } from "./keys.ts";
import { MAX_VALUE_BYTES } from "./limits.ts";
import type { PublicKeys } from "./public-keys.ts";

type Signing = Required<
  Pick<CryptoProvider, "sign" | "verify" | "getPublicKey" | "mac" | "verifyMac">
>;

/** sign and mac at the companion; verify here, with the public key. */
export const createSigning = (
  caller: Caller,
  resolveKey: ResolveKey,
  publicKeys: PublicKeys,
): Signing => {
  const scopeOf = <R extends { readonly keyId: string }>(operation: Operation, request: R) => {
    const keyId = resolveKey({ operation, keyId: request.keyId });
    return { keyId, scope: { operation, keyId } satisfies Scope };
  };

  const mac = async (
    operation: "mac" | "verifyMac",
    request: MacRequest & { readonly keyVersion?: string | undefined },
  ): Promise<{ result: MacResult; scope: Scope }> => {
    const { keyId, scope } = scopeOf(operation, request);
    const { keyVersion } = request;
    const message = checkSize(request.message, scope);
    const result = await caller.call("mac", { keyId, message, keyVersion }, scope, request);
    checkKeyId(result.keyId, scope);
    if (result.mac.length === macBytes(result)) return { result, scope };
    throw fail("ERR_INTEGRITY", `The companion's MAC has ${result.mac.length} bytes`, scope);
  };

  return {
    sign: async (request) => {
      const { keyId, scope } = scopeOf("sign", request);
      const algorithm =
        request.algorithm ??
        defaultScheme((await publicKeys.get({ keyId }, scope, request)).algorithm, scope);
      const input = inputOf(algorithm, request, scope);
      const answer = await caller.call("sign", { keyId, algorithm, ...input }, scope, request);
      checkKeyId(answer.keyId, scope);
      if (answer.algorithm !== algorithm) {
        throw fail("ERR_INTEGRITY", "The companion signed with another scheme", scope);
      }
      publicKeys.learnVersion(keyId, answer.keyVersion);
      return answer;
    },
    verify: async (request) => {
      const { keyId, scope } = scopeOf("verify", request);
      const { keyVersion, message, signature } = request;
      if (message === undefined) {
        const fault = "Node verifies messages, not digests";
        throw fail("ERR_UNSUPPORTED", fault, scope, "Give the message");
      }
      const found = await publicKeys.get({ keyId, keyVersion }, scope, request);
      const algorithm = request.algorithm ?? defaultScheme(found.algorithm, scope);
      if (!SIGNATURE_SCHEMES[algorithm].keys.includes(found.algorithm)) {
        const fault = `A key of ${found.algorithm} does not sign with ${algorithm}`;
        throw fail("ERR_UNSUPPORTED", fault, scope);
      }
      return verifySignature(algorithm, found.key, message, signature);
    },
    getPublicKey: async (request) => {
      const { keyId, scope } = scopeOf("getPublicKey", request);
      const { keyVersion } = request;
      const { key: _, ...result } = await publicKeys.fetch({ keyId, keyVersion }, scope, request);
      // What is remembered stays as it came, whatever the caller does with the bytes.
      return { ...result, publicKey: result.publicKey.slice() };
    },
    mac: async (request) => (await mac("mac", request)).result,
    verifyMac: async (request) => {
      const { result, scope } = await mac("verifyMac", request);
      try {
        if (request.keyVersion === undefined || result.keyVersion === request.keyVersion) {
          return bytesEqual(result.mac, request.mac);
        }
        throw fail("ERR_INTEGRITY", "The companion used another version of the key", scope);
      } finally {
        zero(result.mac);
      }
    },
  };
};

const SCHEMES = Object.keys(SIGNATURE_SCHEMES) as SignatureAlgorithm[];

const defaultScheme = (key: KeyAlgorithm, scope: Scope): SignatureAlgorithm => {
  const scheme = SCHEMES.find((each) => SIGNATURE_SCHEMES[each].keys.includes(key));
  if (scheme !== undefined) return scheme;
  throw fail("ERR_KEY_USAGE", `A key of ${key} signs nothing`, scope);
};

/** The message, so that the person at the companion sees what is signed. Its digest if it is too long for that, or all there is. */
const inputOf = (
  algorithm: SignatureAlgorithm,
  { message, digest }: Signable,
  scope: Scope,
): { readonly message: Bytes } | { readonly digest: Bytes } => {
  const { hash } = SIGNATURE_SCHEMES[algorithm];
  if (hash === undefined) {
    if (message !== undefined) return { message: checkSize(message, scope) };
    throw fail("ERR_UNSUPPORTED", `${algorithm} signs messages, not digests`, scope);
  }
  if (digest === undefined) {
    if (message.length <= MAX_VALUE_BYTES) return { message: message as Bytes };
    return { digest: new Uint8Array(createHash(hash).update(message).digest()) };
  }
  const bytes = Number(hash.slice(3)) / 8;
  if (digest.length === bytes) return { digest: digest as Bytes };
  const fault = `A digest for ${algorithm} has ${bytes} bytes, not ${digest.length}`;
  throw fail("ERR_INVALID_ARGUMENT", fault, scope);
};

const macBytes = ({ algorithm }: MacResult): number =>
  Number(algorithm.slice("hmac-sha".length)) / 8;

const checkSize = (message: Uint8Array, scope: Scope): Bytes => {
  if (message.length <= MAX_VALUE_BYTES) return message as Bytes;
  const fault = `A message has at most ${MAX_VALUE_BYTES} bytes, not ${message.length}`;
  throw fail("ERR_INVALID_ARGUMENT", fault, scope);
};
