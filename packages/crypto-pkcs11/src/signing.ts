import { createHash } from "node:crypto";
import {
  type Bytes,
  concat,
  ECDSA_CURVES,
  type EcdsaKeyAlgorithm,
  fromHex,
  type KeyAlgorithm,
  type Signable,
  type SignatureAlgorithm,
} from "@lango/crypto-core";
import { SIGNATURES, schemesOf } from "./algorithms.ts";
import { fail } from "./errors.ts";
import type { FoundKey } from "./keys.ts";
import type { MechanismSpec } from "./protocol.ts";

/** What goes to the token to be signed or verified. */
export interface SignInput {
  readonly algorithm: SignatureAlgorithm;
  readonly mechanism: MechanismSpec;
  readonly data: Uint8Array;
}

/**
 * Hashes a message here, or takes a digest as it is; only Ed25519 gets the message itself.
 *
 * @throws {@link CryptoError} `ERR_UNSUPPORTED` for a scheme that the key cannot have and for a digest where there is none;
 *   `ERR_INVALID_ARGUMENT` for a digest of another length.
 */
export function signInput(
  key: FoundKey,
  request: Signable & { readonly algorithm?: SignatureAlgorithm | undefined },
): SignInput {
  const { algorithm: keyAlgorithm, keyId } = key;
  const schemes = schemesOf(keyAlgorithm);
  const algorithm = request.algorithm ?? schemes[0];
  if (algorithm === undefined || !schemes.includes(algorithm)) {
    throw fail("ERR_UNSUPPORTED", `A key of ${keyAlgorithm} does not sign with ${algorithm}`, {
      keyId,
    });
  }
  const { hash, mechanism, prefix = "" } = SIGNATURES[algorithm];
  if (hash === undefined) {
    if (request.message !== undefined) return { algorithm, mechanism, data: request.message };
    throw fail("ERR_UNSUPPORTED", `${algorithm} signs messages, not digests`, { keyId });
  }
  const digest = request.digest ?? createHash(hash).update(request.message!).digest();
  const bytes = Number(hash.slice(3)) / 8;
  if (digest.length !== bytes) {
    const message = `A digest for ${algorithm} has ${bytes} bytes, not ${digest.length}`;
    throw fail("ERR_INVALID_ARGUMENT", message, { keyId });
  }
  return { algorithm, mechanism, data: prefix === "" ? digest : concat(fromHex(prefix)!, digest) };
}

/** Bytes of a signature by a key: two scalars, or the modulus. */
export function signatureBytes({ algorithm, facts }: FoundKey): number {
  if (algorithm === "ed25519") return 64;
  if (isEcdsa(algorithm)) return 2 * ECDSA_CURVES[algorithm].scalarBytes;
  return (facts.modulus ?? "").length / 2;
}

/**
 * A signature as the contract wants it. CKM_ECDSA gives r‖s, but some tokens drop leading zeros of both halves.
 *
 * @throws {@link CryptoError} `ERR_INTERNAL` for a length that no signature has.
 */
export function normalizeSignature(key: FoundKey, signature: Uint8Array): Bytes {
  const bytes = signatureBytes(key);
  if (signature.length === bytes) return new Uint8Array(signature);
  if (
    !isEcdsa(key.algorithm) ||
    signature.length % 2 !== 0 ||
    signature.length > bytes ||
    signature.length === 0
  ) {
    const message = `The token gave a signature of ${signature.length} bytes, not ${bytes}`;
    throw fail("ERR_INTERNAL", message, { operation: "sign" });
  }
  const half = signature.length / 2;
  const result = new Uint8Array(bytes);
  result.set(signature.subarray(0, half), bytes / 2 - half);
  result.set(signature.subarray(half), bytes - half);
  return result;
}

const isEcdsa = (algorithm: KeyAlgorithm): algorithm is EcdsaKeyAlgorithm =>
  Object.hasOwn(ECDSA_CURVES, algorithm);
