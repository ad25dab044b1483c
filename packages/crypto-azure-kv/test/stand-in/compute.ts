import {
  constants,
  createHash,
  type KeyObject,
  privateDecrypt,
  privateEncrypt,
  publicDecrypt,
  publicEncrypt,
  randomBytes,
} from "node:crypto";
import type { ECDSA } from "@noble/curves/abstract/weierstrass.js";
import { p256, p384 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import type { Version } from "./key-store.ts";
import { badParameter } from "./service-error.ts";

// Only a stand-in for tests: the service computes with keys that nobody sees.

const OAEP_HASHES: Readonly<Record<string, string>> = {
  "RSA-OAEP": "sha1",
  "RSA-OAEP-256": "sha256",
};
const ECDSA_BY_ALGORITHM: Readonly<Record<string, { crv: string; curve: ECDSA; bytes: number }>> = {
  ES256: { crv: "P-256", curve: p256, bytes: 32 },
  ES384: { crv: "P-384", curve: p384, bytes: 48 },
  ES256K: { crv: "P-256K", curve: secp256k1, bytes: 32 },
};
const { RSA_NO_PADDING, RSA_PKCS1_OAEP_PADDING, RSA_PKCS1_PADDING } = constants;

export function encrypt(key: Version, algorithm: string, value: Buffer): Buffer {
  const oaepHash = oaepHashOf(key, algorithm);
  if (value.length === 0) throw badParameter("Property value has an invalid value");
  try {
    return publicEncrypt({ key: key.publicKey, padding: RSA_PKCS1_OAEP_PADDING, oaepHash }, value);
  } catch {
    throw badParameter("The value is too large for the key");
  }
}

export function decrypt(key: Version, algorithm: string, value: Buffer): Buffer {
  const oaepHash = oaepHashOf(key, algorithm);
  try {
    return privateDecrypt(
      { key: key.privateKey, padding: RSA_PKCS1_OAEP_PADDING, oaepHash },
      value,
    );
  } catch {
    throw badParameter("The parameter is incorrect.");
  }
}

function oaepHashOf({ kty }: Version, algorithm: string): string {
  const hash = OAEP_HASHES[algorithm];
  if (!kty.startsWith("RSA") || hash === undefined) {
    throw badParameter(`Key and algorithm ${algorithm} are incompatible`);
  }
  return hash;
}

export function sign(key: Version, algorithm: string, digest: Buffer): Buffer {
  const ecdsa = ECDSA_BY_ALGORITHM[algorithm];
  if (ecdsa !== undefined) {
    checkCurve(key, ecdsa, digest);
    const scalar = Buffer.from(key.privateKey.export({ format: "jwk" }).d!, "base64url");
    return Buffer.from(ecdsa.curve.sign(digest, scalar, { prehash: false, lowS: false }));
  }
  const { hash, pss } = rsaSchemeOf(key, algorithm, digest);
  return pss
    ? privateEncrypt({ key: key.privateKey, padding: RSA_NO_PADDING }, encodePss(key, hash, digest))
    : privateEncrypt(
        { key: key.privateKey, padding: RSA_PKCS1_PADDING },
        Buffer.concat([digestInfo(hash), digest]),
      );
}

export function verify(key: Version, algorithm: string, digest: Buffer, value: Buffer): boolean {
  const ecdsa = ECDSA_BY_ALGORITHM[algorithm];
  if (ecdsa !== undefined) {
    checkCurve(key, ecdsa, digest);
    if (value.length !== 2 * ecdsa.bytes) throw badParameter("The signature has a wrong length");
    const { x, y } = key.publicKey.export({ format: "jwk" });
    const coordinates = [x!, y!].map((each) => Buffer.from(each, "base64url"));
    const point = Buffer.concat([Uint8Array.of(4), ...coordinates]);
    return ecdsa.curve.verify(value, digest, point, { prehash: false, lowS: false });
  }
  const { hash, pss } = rsaSchemeOf(key, algorithm, digest);
  if (value.length !== key.size! / 8) throw badParameter("The signature has a wrong length");
  try {
    if (pss) {
      const encoded = publicDecrypt({ key: key.publicKey, padding: RSA_NO_PADDING }, value);
      return isPss(hash, digest, encoded);
    }
    const padding = RSA_PKCS1_PADDING;
    const opened = publicDecrypt({ key: key.publicKey, padding }, value);
    return opened.equals(Buffer.concat([digestInfo(hash), digest]));
  } catch {
    return false;
  }
}

function checkCurve(
  key: Version,
  { crv, bytes }: { crv: string; bytes: number },
  digest: Buffer,
): void {
  if (key.crv !== crv) throw badParameter("Key and signing algorithm are incompatible");
  if (digest.length !== bytes) throw badParameter("Invalid length of value");
}

function rsaSchemeOf(
  { kty }: Version,
  algorithm: string,
  digest: Buffer,
): { hash: string; pss: boolean } {
  const [, scheme, bits] = /^([PR])S(256|384|512)$/.exec(algorithm) ?? [];
  if (bits === undefined || !kty.startsWith("RSA")) {
    throw badParameter("Key and signing algorithm are incompatible");
  }
  if (digest.length !== Number(bits) / 8) throw badParameter("Invalid length of value");
  return { hash: `sha${bits}`, pss: scheme === "P" };
}

/** RFC 8017 §9.2, note 1. */
function digestInfo(hash: string): Buffer {
  const prefixes: Record<string, string> = {
    sha256: "3031300d060960864801650304020105000420",
    sha384: "3041300d060960864801650304020205000430",
    sha512: "3051300d060960864801650304020305000440",
  };
  return Buffer.from(prefixes[hash]!, "hex");
}

/** RFC 8017 §9.1.1, the salt as long as the hash. The modulus has a multiple of 8 bits, so emBits is one less. */
function encodePss({ size }: Version, hash: string, digest: Buffer): Buffer {
  const salt = randomBytes(digest.length);
  const h = hashOf(hash, Buffer.alloc(8), digest, salt);
  const db = Buffer.alloc(size! / 8 - h.length - 1);
  db[db.length - salt.length - 1] = 1;
  salt.copy(db, db.length - salt.length);
  const masked = xor(db, mgf1(hash, h, db.length));
  masked[0] = masked[0]! & 0x7f;
  return Buffer.concat([masked, h, Uint8Array.of(0xbc)]);
}

/** RFC 8017 §9.1.2. */
function isPss(hash: string, digest: Buffer, encoded: Buffer): boolean {
  const h = encoded.subarray(-1 - digest.length, -1);
  const masked = encoded.subarray(0, -1 - digest.length);
  if (encoded.at(-1) !== 0xbc || masked[0]! > 0x7f) return false;
  const db = xor(masked, mgf1(hash, h, masked.length));
  db[0] = db[0]! & 0x7f;
  const salt = db.subarray(-digest.length);
  const padding = db.subarray(0, -digest.length);
  if (padding.at(-1) !== 1 || padding.subarray(0, -1).some((byte) => byte !== 0)) return false;
  return hashOf(hash, Buffer.alloc(8), digest, salt).equals(h);
}

function mgf1(hash: string, seed: Buffer, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let counter = 0; blocks.length * seed.length < length; counter++) {
    const number = Buffer.alloc(4);
    number.writeUInt32BE(counter);
    blocks.push(hashOf(hash, seed, number));
  }
  return Buffer.concat(blocks).subarray(0, length);
}

const hashOf = (hash: string, ...parts: Buffer[]): Buffer =>
  createHash(hash).update(Buffer.concat(parts)).digest();

const xor = (a: Buffer, b: Buffer): Buffer => Buffer.from(a.map((byte, index) => byte ^ b[index]!));

/** The public part as JSON (RFC 7517), with the service's name of secp256k1. */
export function publicJwk({ publicKey, kty, crv }: Version): object {
  const { n, e, x, y } = (publicKey as KeyObject).export({ format: "jwk" });
  return crv === undefined ? { kty, n, e } : { kty, crv, x, y };
}
