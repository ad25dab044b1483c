import { createHash } from "node:crypto";
import {
  type Bytes,
  type CryptoProvider,
  concat,
  normalizeLowS,
  type Operation,
  type Signable,
  type SignatureAlgorithm,
  toPlain,
  verifySignature,
} from "@lango/crypto-core";
import { type AzureSignatureAlgorithm, SCHEMES } from "./algorithms.ts";
import type { Caller } from "./caller.ts";
import { atVersion } from "./key-id.ts";
import { checkMay, fail, type KeyVersion, resultBytes } from "./keys.ts";
import { exportSpki, padTo, publicKeyOf } from "./public-key.ts";

type Signing = Required<Pick<CryptoProvider, "sign" | "verify" | "getPublicKey">>;
type SchemeRequest = Signable & { readonly algorithm?: SignatureAlgorithm | undefined };

/** sign, verify and getPublicKey. */
export function createSigning({ run, parse }: Caller, localVerify: boolean): Signing {
  return {
    sign: (request) =>
      run("sign", request, async (call) =>
        call.use(parse(request.keyId), async (key) => {
          checkMay(key, "sign", "sign");
          const algorithm = schemeOf("sign", key, request);
          const digest = digestOf("sign", algorithm, key, request);
          const result = await call.compute(key, (client, options) =>
            client.sign(SCHEMES[algorithm].jwa, digest, options),
          );
          const signature = signatureOf(key, resultBytes("sign", result));
          return { signature, algorithm, keyId: key.keyId, keyVersion: key.version };
        }),
      ),
    verify: (request) =>
      run("verify", request, async (call) => {
        const ref = atVersion(parse(request.keyId), request.keyVersion);
        return await call.use(ref, async (key) => {
          checkMay(key, "verify", "verify");
          const algorithm = schemeOf("verify", key, request);
          const digest = digestOf("verify", algorithm, key, request);
          const { signature } = request;
          // The service calls a signature of another length a bad request; here it is a signature that does not verify.
          if (signature.length !== key.facts.signatureBytes) return false;
          if (localVerify && request.message !== undefined) {
            const publicKey = publicKeyOf(key.facts, key.jwk);
            return verifySignature(algorithm, publicKey, request.message, signature);
          }
          // An answer to verify is a truth value alone, it names no key.
          const result = await call.compute(
            key,
            (client, options) => client.verify(SCHEMES[algorithm].jwa, digest, signature, options),
            false,
          );
          return result === true;
        });
      }),
    getPublicKey: (request) =>
      run("getPublicKey", request, async (call) => {
        const ref = atVersion(parse(request.keyId), request.keyVersion);
        return await call.use(ref, async (key) => {
          const { keyId, algorithm, operations } = key;
          if (operations?.some((each) => each === "sign" || each === "verify") === false) {
            throw fail("ERR_KEY_USAGE", "the key is not for signing", "getPublicKey", keyId);
          }
          const publicKey = exportSpki(publicKeyOf(key.facts, key.jwk));
          return { publicKey, algorithm, keyId, keyVersion: key.version };
        });
      }),
  };
}

/** The scheme asked for, or the first of the key that a digest of this length fits. */
function schemeOf(
  operation: Operation,
  { facts, keyId }: KeyVersion,
  { algorithm, digest }: SchemeRequest,
): AzureSignatureAlgorithm {
  const found =
    algorithm === undefined
      ? (facts.schemes.find((each) => SCHEMES[each].hashBytes === digest?.length) ??
        facts.schemes[0])
      : facts.schemes.find((each) => each === algorithm);
  if (found !== undefined) return found;
  throw fail("ERR_UNSUPPORTED", `the key has no scheme ${algorithm}`, operation, keyId);
}

/** The message hashed once, or the digest as it is: it is never hashed again (trap 2). */
function digestOf(
  operation: Operation,
  algorithm: AzureSignatureAlgorithm,
  { keyId }: KeyVersion,
  { message, digest }: Signable,
): Uint8Array {
  const { hash, hashBytes } = SCHEMES[algorithm];
  if (digest === undefined) return createHash(hash).update(message).digest();
  if (digest.length === hashBytes) return digest;
  const fault = `a digest for ${algorithm} has ${hashBytes} bytes, not ${digest.length}`;
  throw fail("ERR_INVALID_ARGUMENT", fault, operation, keyId);
}

/**
 * The signature as the contract has it. The service gives r‖s (RFC 7518 §3.4), not DER; halves that lost leading zeros are
 * filled up. RSA signatures stay as they are.
 */
function signatureOf({ algorithm, facts, keyId }: KeyVersion, signature: Uint8Array): Bytes {
  const { signatureBytes, keyType } = facts;
  const half = signature.length / 2;
  const shortened = keyType === "EC" && signature.length > 0 && Number.isInteger(half);
  if (signature.length > signatureBytes || (signature.length < signatureBytes && !shortened)) {
    const message = `a signature of ${signature.length} bytes was given, not of ${signatureBytes}`;
    throw fail("ERR_INTEGRITY", message, "sign", keyId);
  }
  if (signature.length < signatureBytes) {
    const [r, s] = [signature.subarray(0, half), signature.subarray(half)];
    signature = concat(padTo(signatureBytes / 2, r), padTo(signatureBytes / 2, s));
  }
  // Bitcoin and Ethereum refuse a high s; verifiers take either.
  return algorithm === "secp256k1" ? normalizeLowS(signature, algorithm) : toPlain(signature);
}
