import {
  constants,
  createECDH,
  createHash,
  generateKeyPair,
  type KeyObject,
  privateDecrypt,
  randomBytes,
  sign,
} from "node:crypto";
import { promisify } from "node:util";
import { ECDSA_CURVES, signatureToDer } from "@lango/crypto-core";

const generate = promisify(generateKeyPair);
const CURVES: Readonly<Record<string, [string, keyof typeof ECDSA_CURVES]>> = {
  P256: ["prime256v1", "ecdsa-p256"],
  P384: ["secp384r1", "ecdsa-p384"],
  SECP256K1: ["secp256k1", "secp256k1"],
};
// RSA keys take seconds to make. One of each size does for all keys of a process: no test asks whether two differ.
const rsaKeys = new Map<number, Promise<KeyObject>>();

/** Makes a private key for an algorithm such as `EC_SIGN_P256_SHA256` or `RSA_SIGN_PSS_2048_SHA256`. */
export const makePrivateKey = async (algorithm: string): Promise<KeyObject> => {
  if (algorithm === "EC_SIGN_ED25519") return (await generate("ed25519")).privateKey;
  const parts = algorithm.split("_");
  if (parts[0] === "EC") {
    return (await generate("ec", { namedCurve: CURVES[parts[2]!]![0] })).privateKey;
  }
  const bits = Number(parts[3]);
  const key =
    rsaKeys.get(bits) ??
    generate("rsa", { modulusLength: bits }).then(({ privateKey }) => privateKey);
  rsaKeys.set(bits, key);
  return await key;
};

/** Signs a digest as the algorithm says: ECDSA in DER, RSA as it is. */
export const signDigest = (algorithm: string, key: KeyObject, digest: Uint8Array): Uint8Array => {
  const parts = algorithm.split("_");
  if (parts[0] === "EC") return signEcdsa(parts[2]!, key, digest);
  const hash = parts.at(-1)!.toLowerCase();
  const bytes = Number(parts[3]) / 8;
  const encoded =
    parts[2] === "PSS" ? encodePss(hash, digest, bytes) : encodePkcs1(hash, digest, bytes);
  return privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, encoded);
};

/** Signs a message with Ed25519. */
export const signMessage = (key: KeyObject, message: Uint8Array): Uint8Array =>
  sign(null, message, key);

/** FIPS 186-5 §6.4.1; the multiple of the base point is OpenSSL's. */
const signEcdsa = (curve: string, key: KeyObject, digest: Uint8Array): Uint8Array => {
  const [openssl, name] = CURVES[curve]!;
  const { order, scalarBytes } = ECDSA_CURVES[name];
  const d = toInteger(Buffer.from(key.export({ format: "jwk" }).d!, "base64url"));
  const ephemeral = createECDH(openssl);
  const point = ephemeral.generateKeys();
  const k = toInteger(ephemeral.getPrivateKey());
  const r = toInteger(point.subarray(1, 1 + scalarBytes)) % order;
  const s = (inverse(k, order) * (toInteger(digest) + r * d)) % order;
  const hex = (value: bigint): string => value.toString(16).padStart(2 * scalarBytes, "0");
  return signatureToDer(Buffer.from(hex(r) + hex(s), "hex"));
};

const toInteger = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);

/** By Fermat's little theorem: the order is prime. */
const inverse = (value: bigint, prime: bigint): bigint => {
  let result = 1n;
  let base = value % prime;
  for (let exponent = prime - 2n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % prime;
    base = (base * base) % prime;
  }
  return result;
};

/** RFC 8017 §9.1.1, the salt as long as the digest. */
const encodePss = (hash: string, digest: Uint8Array, bytes: number): Buffer => {
  const salt = randomBytes(digest.length);
  const h = createHash(hash).update(Buffer.alloc(8)).update(digest).update(salt).digest();
  const db = Buffer.concat([Buffer.alloc(bytes - salt.length - h.length - 2), Buffer.of(1), salt]);
  const mask = Buffer.concat(
    Array.from({ length: Math.ceil(db.length / h.length) }, (_, counter) =>
      createHash(hash)
        .update(h)
        .update(Buffer.of(0, 0, 0, counter))
        .digest(),
    ),
  );
  for (let index = 0; index < db.length; index++) db[index]! ^= mask[index]!;
  db[0]! &= 0x7f;
  return Buffer.concat([db, h, Buffer.of(0xbc)]);
};

/** RFC 8017 §9.2. */
const encodePkcs1 = (hash: string, digest: Uint8Array, bytes: number): Buffer => {
  const oid = { sha256: 1, sha384: 2, sha512: 3 }[hash]!;
  const prefix = `3031300d0609608648016503040200050004`;
  const info = Buffer.concat([Buffer.from(prefix, "hex"), Buffer.of(digest.length), digest]);
  info[1] = info.length - 2;
  info[14] = oid;
  const padding = Buffer.alloc(bytes - info.length - 3, 0xff);
  return Buffer.concat([Buffer.of(0, 1), padding, Buffer.of(0), info]);
};
