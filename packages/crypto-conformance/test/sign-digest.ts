import { constants, createHash, type KeyObject, privateEncrypt, randomBytes } from "node:crypto";
import type { SignatureAlgorithm } from "@lango/crypto-core";
import { CryptoError } from "@lango/crypto-core";
import { p256, p384 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { SIGNATURE_ALGORITHMS } from "../src/needs.ts";

const CURVES: Partial<Record<SignatureAlgorithm, typeof p256>> = {
  "ecdsa-p256-sha256": p256,
  "ecdsa-p384-sha384": p384,
  "ecdsa-secp256k1-sha256": secp256k1,
};

// DER of DigestInfo up to the digest (RFC 8017 §9.2, note 1).
const DIGEST_INFO = {
  sha256: "3031300d060960864801650304020105000420",
  sha384: "3041300d060960864801650304020205000430",
  sha512: "3051300d060960864801650304020305000440",
};

/** Signs a digest, which node:crypto does not. */
export function signDigest(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  digest: Uint8Array,
): Uint8Array {
  const curve = CURVES[algorithm];
  if (curve) {
    const scalar = Buffer.from(key.export({ format: "jwk" }).d!, "base64url");
    return curve.sign(digest, scalar, { prehash: false, lowS: false });
  }
  const hash = SIGNATURE_ALGORITHMS[algorithm];
  if (hash === undefined) throw new CryptoError("ERR_UNSUPPORTED", "Ed25519 signs messages");
  if (algorithm.startsWith("rsa-pss")) {
    const encoded = encodePss(hash, digest);
    return privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, encoded);
  }
  const info = Buffer.concat([Buffer.from(DIGEST_INFO[hash], "hex"), digest]);
  return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, info);
}

/** EMSA-PSS-ENCODE for 2048 bits, the salt as long as the hash (RFC 8017 §9.1.1). */
function encodePss(hash: "sha256" | "sha384" | "sha512", digest: Uint8Array): Buffer {
  const salt = randomBytes(digest.length);
  const sum = (...parts: Uint8Array[]) => createHash(hash).update(Buffer.concat(parts)).digest();
  const h = sum(Buffer.alloc(8), digest, salt);
  const db = Buffer.alloc(256 - h.length - 1);
  db[db.length - salt.length - 1] = 1;
  salt.copy(db, db.length - salt.length);
  // MGF1 (RFC 8017 §B.2.1).
  for (let counter = 0; counter * h.length < db.length; counter++) {
    const mask = sum(h, Buffer.of(0, 0, 0, counter));
    for (const [index, byte] of mask.entries()) {
      const at = counter * h.length + index;
      if (at < db.length) db[at] = db[at]! ^ byte;
    }
  }
  db[0] = db[0]! & 0x7f;
  return Buffer.concat([db, h, Buffer.of(0xbc)]);
}
