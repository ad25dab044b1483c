import { createPrivateKey, createSecretKey, KeyObject } from "node:crypto";
import { type Bytes, CryptoError, ECDSA_CURVES, randomBytesFresh, zero } from "@lango/crypto-core";
import { ALGORITHMS, type EcdsaFacts, type LocalKeyAlgorithm } from "./algorithms.ts";

// PrivateKeyInfo of an Ed25519 seed without its last 32 bytes (RFC 8410 §7).
const ED25519_PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

/**
 * Makes the key object that a {@link KeySource} hands out from the secret of a key.
 *
 * @param material - The secret itself, copied: the caller may zero it after the call. 32 bytes for `aes-256-gcm`;
 *   32, 48 or 64 for `hmac-sha256`, `-sha384`, `-sha512`; the big-endian private scalar of 32 bytes (`ecdsa-p384`: 48)
 *   for ECDSA; the seed of 32 bytes for `ed25519` (RFC 8032 §5.1.5). Or a secret or private `KeyObject` that fits.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` if it does not fit the algorithm.
 */
export function importKeyMaterial(
  algorithm: LocalKeyAlgorithm,
  material: Uint8Array | KeyObject,
): KeyObject {
  const { materialBytes, ecdsa } = ALGORITHMS[algorithm];
  if (material instanceof KeyObject) return checkKeyObject(algorithm, material);
  if (material.length !== materialBytes) {
    throw invalid(
      `The secret of an ${algorithm} key has ${materialBytes} bytes, not ${material.length}`,
    );
  }
  if (ecdsa) {
    if (!isScalar(ecdsa, material)) {
      throw invalid(
        `The secret of an ${algorithm} key is a number from 1 to the curve's order − 1`,
      );
    }
    return importPrivateKey(sec1(ecdsa, material), "sec1");
  }
  if (algorithm === "ed25519") {
    return importPrivateKey(Buffer.concat([ED25519_PKCS8, material]), "pkcs8");
  }
  return createSecretKey(material);
}

/**
 * Makes the secret of a new key, in the form that {@link importKeyMaterial} takes.
 *
 * @returns Bytes that the caller zeroes.
 */
export function generateKeyMaterial(algorithm: LocalKeyAlgorithm): Bytes {
  const { materialBytes, ecdsa } = ALGORITHMS[algorithm];
  for (;;) {
    const material = randomBytesFresh(materialBytes);
    // FIPS 186-5 A.2.2: try again when it is no scalar of the curve, which takes fewer than 2^-32 of the draws.
    if (!ecdsa || isScalar(ecdsa, material)) return material;
    zero(material);
  }
}

/**
 * The private scalar of an ECDSA key.
 *
 * @returns 32 or 48 bytes that the caller zeroes.
 */
export function exportScalar(facts: EcdsaFacts, key: KeyObject): Bytes {
  const der = key.export({ type: "sec1", format: "der" });
  // RFC 5915 §3: SEQUENCE { INTEGER 1, OCTET STRING scalar, … }, the scalar at its full length.
  const { scalarBytes } = ECDSA_CURVES[facts.algorithm];
  const start = der.indexOf(Buffer.of(0x02, 0x01, 0x01, 0x04, scalarBytes)) + 5;
  const scalar = new Uint8Array(der.subarray(start, start + scalarBytes));
  zero(der);
  return scalar;
}

/** Whether big-endian bytes are a private scalar: 1 to n − 1. Compared as bytes: a bigint cannot be zeroed. */
function isScalar({ algorithm }: EcdsaFacts, bytes: Uint8Array): boolean {
  const order = Buffer.from(ECDSA_CURVES[algorithm].order.toString(16), "hex");
  return Buffer.compare(bytes, order) < 0 && bytes.some((byte) => byte !== 0);
}

/** ECPrivateKey without the public point, which OpenSSL computes (RFC 5915 §3). */
function sec1({ oid }: EcdsaFacts, scalar: Uint8Array): Buffer {
  const curve = Buffer.from(oid, "hex");
  const length = 3 + 2 + scalar.length + 2 + curve.length;
  return Buffer.concat([
    Buffer.of(0x30, length, 0x02, 0x01, 0x01, 0x04, scalar.length),
    scalar,
    Buffer.of(0xa0, curve.length),
    curve,
  ]);
}

function importPrivateKey(der: Buffer, type: "sec1" | "pkcs8"): KeyObject {
  try {
    return createPrivateKey({ key: der, format: "der", type });
  } finally {
    zero(der);
  }
}

function checkKeyObject(algorithm: LocalKeyAlgorithm, key: KeyObject): KeyObject {
  const { usage, materialBytes, ecdsa } = ALGORITHMS[algorithm];
  const fits =
    usage === "signing"
      ? key.type === "private" &&
        (ecdsa
          ? key.asymmetricKeyDetails?.namedCurve === ecdsa.curve
          : key.asymmetricKeyType === "ed25519")
      : key.symmetricKeySize === materialBytes;
  if (!fits) throw invalid(`The key object is no ${algorithm} key`);
  return key;
}

const invalid = (message: string): CryptoError => new CryptoError("ERR_INVALID_ARGUMENT", message);
