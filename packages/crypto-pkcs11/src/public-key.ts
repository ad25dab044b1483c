import { createPublicKey } from "node:crypto";
import { type Bytes, type KeyAlgorithm, toPlain } from "@lango/crypto-core";
import { CKK } from "./constants.ts";
import { fail } from "./errors.ts";
import type { KeyFacts } from "./protocol.ts";

interface Curve {
  readonly algorithm: KeyAlgorithm;
  /** DER of the object identifier. */
  readonly oid: string;
  /** What tokens may write in its place, as a PrintableString: PKCS#11 3.0 §2.3.3. */
  readonly names: readonly string[];
  /** Bytes of a public key: 04‖X‖Y, or 32 for Ed25519. */
  readonly pointBytes: number;
}

const CURVES: readonly Curve[] = [
  {
    algorithm: "ecdsa-p256",
    oid: "06082a8648ce3d030107",
    names: ["secp256r1", "prime256v1", "P-256"],
    pointBytes: 65,
  },
  {
    algorithm: "ecdsa-p384",
    oid: "06052b81040022",
    names: ["secp384r1", "P-384"],
    pointBytes: 97,
  },
  { algorithm: "secp256k1", oid: "06052b8104000a", names: ["secp256k1"], pointBytes: 65 },
  { algorithm: "ed25519", oid: "06032b6570", names: ["edwards25519"], pointBytes: 32 },
];

const PRINTABLE_STRING = 0x13;
const OCTET_STRING = 0x04;
const BIT_STRING = 0x03;
const UNCOMPRESSED = 0x04;

/** CKA_EC_PARAMS of a curve for a new key. */
export function ecParams(algorithm: KeyAlgorithm): string {
  return CURVES.find((curve) => curve.algorithm === algorithm)?.oid ?? "";
}

/** The curve that CKA_EC_PARAMS names, by object identifier or by name; `undefined` for one that has no place here. */
export function curveOf(params: string): KeyAlgorithm | undefined {
  return find(params)?.algorithm;
}

function find(params: string): Curve | undefined {
  const bytes = Buffer.from(params, "hex");
  const name =
    bytes[0] === PRINTABLE_STRING && bytes[1] === bytes.length - 2
      ? bytes.toString("latin1", 2)
      : undefined;
  return CURVES.find(({ oid, names }) =>
    name === undefined ? oid === params : names.includes(name),
  );
}

/**
 * Reads CKA_EC_POINT. PKCS#11 2.40 §2.3.3 says a DER OCTET STRING; some tokens give the bare point, some a BIT STRING. A bare
 * point begins with 04 too, which is also the tag of an OCTET STRING, so the length decides.
 *
 * @returns The bare point, or `undefined`.
 */
export function decodeEcPoint(value: Uint8Array, pointBytes: number): Uint8Array | undefined {
  const bare = bareEcPoint(value, pointBytes);
  // X9.62: of the forms of a point on a Weierstrass curve only the uncompressed one is known here.
  return pointBytes === 32 || bare?.[0] === UNCOMPRESSED ? bare : undefined;
}

function bareEcPoint(value: Uint8Array, pointBytes: number): Uint8Array | undefined {
  if (value.length === pointBytes) return value;
  if (value.length === pointBytes + 2 && value[0] === OCTET_STRING && value[1] === pointBytes) {
    return value.subarray(2);
  }
  const isBitString =
    value.length === pointBytes + 3 &&
    value[0] === BIT_STRING &&
    value[1] === pointBytes + 1 &&
    value[2] === 0;
  return isBitString ? value.subarray(3) : undefined;
}

/**
 * The SubjectPublicKeyInfo of a key (RFC 5280 §4.1) from what the token says about its public half.
 *
 * @throws {@link CryptoError} `ERR_INTERNAL` if that is no valid key.
 */
export function spkiOf(facts: KeyFacts): Bytes {
  const spki = facts.keyType === CKK.rsa ? rsaSpki(facts) : ecSpki(facts);
  if (spki !== undefined) {
    try {
      // Of the same bytes in canonical form, and only if they are a point of the curve.
      const key = createPublicKey({ key: spki, format: "der", type: "spki" });
      return toPlain(key.export({ format: "der", type: "spki" }));
    } catch {
      // Named below.
    }
  }
  throw fail("ERR_INTERNAL", "The token gave a public key that cannot be read", {
    operation: "getPublicKey",
  });
}

const EC_PUBLIC_KEY = "06072a8648ce3d0201";
const RSA_ENCRYPTION = "06092a864886f70d0101010500";

function ecSpki({ ecParams: params = "", ecPoint = "" }: KeyFacts): Buffer | undefined {
  const curve = find(params);
  if (curve === undefined) return undefined;
  const point = decodeEcPoint(Buffer.from(ecPoint, "hex"), curve.pointBytes);
  if (point === undefined) return undefined;
  const algorithm = curve.algorithm === "ed25519" ? curve.oid : EC_PUBLIC_KEY + curve.oid;
  return spki(algorithm, point);
}

function rsaSpki({ modulus = "", publicExponent = "" }: KeyFacts): Buffer | undefined {
  if (modulus === "" || publicExponent === "") return undefined;
  // RFC 8017 A.1.1
  const key = der(0x30, Buffer.concat([integer(modulus), integer(publicExponent)]));
  return spki(RSA_ENCRYPTION, key);
}

function spki(algorithm: string, key: Uint8Array): Buffer {
  const identifier = der(0x30, Buffer.from(algorithm, "hex"));
  const bits = der(BIT_STRING, Buffer.concat([Buffer.of(0), key]));
  return der(0x30, Buffer.concat([identifier, bits]));
}

/** A positive INTEGER in its shortest form (X.690 §8.3). */
function integer(hex: string): Buffer {
  const bytes = Buffer.from(hex, "hex");
  const first = bytes.findIndex((byte) => byte !== 0);
  const magnitude = first < 0 ? Buffer.of(0) : bytes.subarray(first);
  const sign = (magnitude[0] ?? 0) >= 0x80 ? Buffer.of(0) : Buffer.alloc(0);
  return der(0x02, Buffer.concat([sign, magnitude]));
}

function der(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const header =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(header), content]);
}
