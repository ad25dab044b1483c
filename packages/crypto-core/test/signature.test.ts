import { generateKeyPairSync, sign, verify } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ECDSA_CURVES,
  type EcdsaKeyAlgorithm,
  normalizeLowS,
  signatureFromDer,
  signatureToDer,
} from "../src/index.ts";

const CURVES: [EcdsaKeyAlgorithm, string][] = [
  ["ecdsa-p256", "prime256v1"],
  ["ecdsa-p384", "secp384r1"],
  ["secp256k1", "secp256k1"],
];
const refused = expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" });

describe.each(CURVES)("%s", (algorithm, namedCurve) => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve });
  const { order, scalarBytes } = ECDSA_CURVES[algorithm];
  const message = Buffer.from("message");
  const raw = { key: publicKey, dsaEncoding: "ieee-p1363" as const };

  test("node:crypto accepts either encoding, converted", () => {
    for (let call = 0; call < 64; call++) {
      const der = sign("sha256", message, privateKey);
      const signature = signatureFromDer(der, algorithm);
      expect(verify("sha256", message, raw, signature)).toBe(true);
      expect(Buffer.from(signatureToDer(signature))).toEqual(der);
    }
  });

  test("any r‖s comes back from DER", () => {
    const half = fc.tuple(
      fc.nat(scalarBytes),
      fc.uint8Array({ minLength: scalarBytes, maxLength: scalarBytes }),
    );
    fc.assert(
      fc.property(half, half, (...halves) => {
        // With leading zeros, which DER leaves out.
        const signature = Uint8Array.from(
          halves.flatMap(([zeros, bytes]) => [...bytes.fill(0, 0, zeros)]),
        );
        expect(signatureFromDer(signatureToDer(signature), algorithm)).toEqual(signature);
      }),
    );
  });

  test("what is read as DER is written as the same DER; anything else is refused", () => {
    const valid = signatureToDer(new Uint8Array(2 * scalarBytes).fill(0x7f));
    const change = fc.tuple(fc.nat(valid.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 3 }), (changes) => {
        const der = Uint8Array.from(valid);
        for (const [index, byte] of changes) der[index] = byte;
        let signature: Uint8Array | undefined;
        try {
          signature = signatureFromDer(der, algorithm);
        } catch (error) {
          expect(error).toEqual(refused);
        }
        if (signature) expect(signatureToDer(signature)).toEqual(der);
      }),
      { numRuns: 2000 },
    );
  });

  test("the low s verifies, and is at most half of the order", () => {
    let high = 0;
    for (let call = 0; call < 64; call++) {
      const signature = sign("sha256", message, { key: privateKey, dsaEncoding: "ieee-p1363" });
      const low = normalizeLowS(signature, algorithm);
      const s = BigInt(`0x${Buffer.from(low.subarray(scalarBytes)).toString("hex")}`);
      expect(s <= order / 2n).toBe(true);
      expect(verify("sha256", message, raw, low)).toBe(true);
      expect(normalizeLowS(low, algorithm)).toEqual(low);
      if (!signature.equals(low)) high++;
    }
    expect(high).toBeGreaterThan(0);
  });
});

test.each([
  ["a length in the long form", "308106020101020101"],
  ["a negative integer", "3006020181020101"],
  ["an integer that is not in its shortest form", "300702020001020101"],
  ["an empty integer", "30050200020101"],
  ["one integer", "3003020101"],
  ["bytes after the integers", "30080201010201010500"],
  ["bytes after the sequence", "300602010102010100"],
  ["nothing", ""],
])("DER with %s is refused", (_, hex) => {
  expect(() => signatureFromDer(Buffer.from(hex, "hex"), "ecdsa-p256")).toThrow(refused);
});

test("the smallest DER is read", () => {
  const signature = signatureFromDer(Buffer.from("3006020101020102", "hex"), "ecdsa-p256");
  expect([signature[31], signature[63], signature.length]).toEqual([1, 2, 64]);
});

test("other lengths are refused", () => {
  expect(() => signatureToDer(new Uint8Array(63))).toThrow(refused);
  expect(() => normalizeLowS(new Uint8Array(64), "ecdsa-p384")).toThrow(refused);
  const long = signatureToDer(new Uint8Array(96).fill(0x11));
  expect(() => signatureFromDer(long, "secp256k1")).toThrow(refused);
});
