import { constants, type KeyObject, verify } from "node:crypto";
import { ECDSA_CURVES } from "@lango/crypto-core";
import type { AlgorithmFacts } from "./algorithms.ts";

/** Verifies with the public key, here: the service offers no verification. Takes a high s too, as FIPS 186-5 does. */
export const verifySignature = (
  { hash, ecdsa, signature: scheme }: AlgorithmFacts,
  key: KeyObject,
  message: Uint8Array,
  signature: Uint8Array,
): boolean => {
  if (ecdsa !== undefined) {
    if (signature.length !== 2 * ECDSA_CURVES[ecdsa].scalarBytes) return false;
    return verify(hash, message, { key, dsaEncoding: "ieee-p1363" }, signature);
  }
  if (!scheme?.startsWith("rsa-pss")) return verify(hash, message, key, signature);
  // The salt is as long as the digest: RFC 7518 §3.5, and the service's documentation of RSA_SIGN_PSS.
  const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return verify(hash, message, { key, padding, saltLength }, signature);
};
