import { createHash, type KeyObject, X509Certificate } from "node:crypto";
import { CryptoError } from "@lango/crypto-core";

/**
 * The pin of a device: SHA-256 of the public key in its certificate (SubjectPublicKeyInfo, RFC 5280 §4.1) in base64url, 43
 * characters. A new certificate of the same key has the same one.
 *
 * @param certificate - DER.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for what is no certificate.
 */
export const fingerprintOf = (certificate: Uint8Array): string => {
  try {
    return keyFingerprint(new X509Certificate(certificate).publicKey);
  } catch (cause) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", "This is no X.509 certificate", { cause });
  }
};

/** As {@link fingerprintOf}, of a public key. */
export const keyFingerprint = (publicKey: KeyObject): string =>
  createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("base64url");

/** Whether a key is on P-256 (secp256r1), the only curve of identities. */
export const isP256 = (key: KeyObject): boolean =>
  key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === "prime256v1";
