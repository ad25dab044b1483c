import type { KeyObject } from "node:crypto";
import { nodeCrypto } from "./node-crypto.ts";
import type { KeyAlgorithm, SignatureAlgorithm } from "./provider.ts";
import { ECDSA_CURVES } from "./signature.ts";

/** What a signature scheme consists of. */
export interface SignatureScheme {
  /** What is signed is a digest of this hash. Absent: the message itself. */
  readonly hash?: "sha256" | "sha384" | "sha512";
  /** The keys that sign with it. */
  readonly keys: readonly KeyAlgorithm[];
}

const RSA: readonly KeyAlgorithm[] = ["rsa-2048", "rsa-3072", "rsa-4096"];

/** Every scheme of the contract; of those that one key has, the first is its default. */
export const SIGNATURE_SCHEMES: Readonly<Record<SignatureAlgorithm, SignatureScheme>> = {
  "ecdsa-p256-sha256": { hash: "sha256", keys: ["ecdsa-p256"] },
  "ecdsa-p384-sha384": { hash: "sha384", keys: ["ecdsa-p384"] },
  "ecdsa-secp256k1-sha256": { hash: "sha256", keys: ["secp256k1"] },
  ed25519: { keys: ["ed25519"] },
  "rsa-pss-sha256": { hash: "sha256", keys: RSA },
  "rsa-pss-sha384": { hash: "sha384", keys: RSA },
  "rsa-pss-sha512": { hash: "sha512", keys: RSA },
  "rsa-pkcs1-sha256": { hash: "sha256", keys: RSA },
  "rsa-pkcs1-sha384": { hash: "sha384", keys: RSA },
  "rsa-pkcs1-sha512": { hash: "sha512", keys: RSA },
};

/**
 * Verifies the signature of a message with a public key. A high s of ECDSA is taken too, as FIPS 186-5 does.
 *
 * @param key - Of a kind that has the scheme.
 * @returns `false` also for a signature of another length or encoding.
 */
export const verifySignature = (
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  message: Uint8Array,
  signature: Uint8Array,
): boolean => {
  const { verify, constants } = nodeCrypto();
  const { hash = null, keys } = SIGNATURE_SCHEMES[algorithm];
  const [kind] = keys;
  if (kind === "ecdsa-p256" || kind === "ecdsa-p384" || kind === "secp256k1") {
    // Node takes one of another length for DER.
    if (signature.length !== 2 * ECDSA_CURVES[kind].scalarBytes) return false;
    return verify(hash, message, { key, dsaEncoding: "ieee-p1363" }, signature);
  }
  if (!algorithm.startsWith("rsa-pss")) return verify(hash, message, key, signature);
  // RFC 7518 §3.5: the salt is as long as the digest.
  const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return verify(hash, message, { key, padding, saltLength }, signature);
};
