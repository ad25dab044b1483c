import {
  createPublicKey,
  type KeyObject,
  sign as nodeSign,
  verify as nodeVerify,
} from "node:crypto";
import {
  type Bytes,
  CryptoError,
  ECDSA_CURVES,
  normalizeLowS,
  type Signable,
  signatureFromDer,
  toPlain,
  zero,
} from "@lango/crypto-core";
import type { ECDSA } from "@noble/curves/abstract/weierstrass.js";
import { ALGORITHMS, type EcdsaFacts, type LocalKeyAlgorithm } from "./algorithms.ts";
import { exportScalar } from "./material.ts";

/**
 * Signs with an ECDSA or Ed25519 private key.
 *
 * @returns r‖s of 64 or 96 bytes, for secp256k1 with the low s; 64 bytes for Ed25519.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a digest of another length than the hash's;
 *   `ERR_UNSUPPORTED` for a digest with Ed25519.
 */
export async function sign(
  algorithm: LocalKeyAlgorithm,
  key: KeyObject,
  input: Signable,
): Promise<Bytes> {
  const { ecdsa } = ALGORITHMS[algorithm];
  if (!ecdsa) return toPlain(nodeSign(null, onlyMessage(algorithm, input), key));
  const signature =
    input.digest === undefined
      ? // As DER: asked for r‖s, which takes options around the key, Node needs twice as long.
        signatureFromDer(nodeSign(ecdsa.hash, input.message, key), ecdsa.algorithm)
      : await signDigest(ecdsa, key, input.digest);
  return ecdsa.algorithm === "secp256k1" ? normalizeLowS(signature, ecdsa.algorithm) : signature;
}

/**
 * Verifies what {@link sign} made. Takes a high s too, as FIPS 186-5 does.
 *
 * @param key - Private or public.
 * @throws {@link CryptoError} As {@link sign}.
 */
export async function verify(
  algorithm: LocalKeyAlgorithm,
  key: KeyObject,
  input: Signable,
  signature: Uint8Array,
): Promise<boolean> {
  const { ecdsa } = ALGORITHMS[algorithm];
  if (!ecdsa) return nodeVerify(null, onlyMessage(algorithm, input), key, signature);
  if (input.digest !== undefined) checkDigest(ecdsa, input.digest);
  if (signature.length !== 2 * ECDSA_CURVES[ecdsa.algorithm].scalarBytes) return false;
  if (input.digest === undefined) {
    return nodeVerify(ecdsa.hash, input.message, { key, dsaEncoding: "ieee-p1363" }, signature);
  }
  const curve = await loadCurve(ecdsa);
  return curve.verify(signature, input.digest, publicPoint(ecdsa, key), {
    prehash: false,
    lowS: false,
  });
}

/** DER SubjectPublicKeyInfo of a signing key. */
export function publicKeyOf(key: KeyObject): Bytes {
  return toPlain(createPublicKey(key).export({ type: "spki", format: "der" }));
}

/** Node signs no digests, so this is JavaScript, with the nonce of RFC 6979. */
async function signDigest(facts: EcdsaFacts, key: KeyObject, digest: Uint8Array): Promise<Bytes> {
  checkDigest(facts, digest);
  const curve = await loadCurve(facts);
  const scalar = exportScalar(facts, key);
  try {
    return toPlain(curve.sign(digest, scalar, { prehash: false, lowS: false }));
  } finally {
    zero(scalar);
  }
}

// Loaded when the first digest comes: most programs never sign one.
async function loadCurve({ algorithm }: EcdsaFacts): Promise<ECDSA> {
  if (algorithm === "secp256k1") return (await import("@noble/curves/secp256k1.js")).secp256k1;
  const { p256, p384 } = await import("@noble/curves/nist.js");
  return algorithm === "ecdsa-p256" ? p256 : p384;
}

/** The uncompressed point, which ends the SubjectPublicKeyInfo (RFC 5480 §2). */
function publicPoint({ algorithm }: EcdsaFacts, key: KeyObject): Uint8Array {
  const publicKey = key.type === "public" ? key : createPublicKey(key);
  const spki = publicKey.export({ type: "spki", format: "der" });
  return spki.subarray(-(1 + 2 * ECDSA_CURVES[algorithm].scalarBytes));
}

function checkDigest({ algorithm, hash, hashBytes }: EcdsaFacts, digest: Uint8Array): void {
  if (digest.length !== hashBytes) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      `${algorithm} signs a ${hash} digest of ${hashBytes} bytes, not of ${digest.length}`,
    );
  }
}

function onlyMessage(algorithm: LocalKeyAlgorithm, input: Signable): Uint8Array {
  if (input.digest === undefined) return input.message;
  // RFC 8032 §5.1 hashes the message twice; Ed25519ph is another algorithm.
  throw new CryptoError("ERR_UNSUPPORTED", `An ${algorithm} key signs messages, not digests`);
}
