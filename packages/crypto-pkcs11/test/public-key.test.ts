import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { CKK, CKO } from "../src/constants.ts";
import type { KeyFacts } from "../src/protocol.ts";
import { curveOf, decodeEcPoint, spkiOf } from "../src/public-key.ts";

const hex = (...parts: (Uint8Array | number[])[]): string =>
  Buffer.concat(parts.map((part) => Buffer.from(part))).toString("hex");
const facts = (own: Partial<KeyFacts>): KeyFacts => ({
  class: CKO.publicKey,
  keyType: CKK.ec,
  id: "01",
  label: "",
  sign: false,
  decrypt: false,
  unwrap: false,
  sensitive: false,
  extractable: false,
  alwaysAuthenticate: false,
  ...own,
});

test.each([
  ["prime256v1", "06082a8648ce3d030107", 65],
  ["secp384r1", "06052b81040022", 97],
  ["secp256k1", "06052b8104000a", 65],
] as const)(
  "trap 2d.8: CKA_EC_POINT of %s as OCTET STRING, BIT STRING and bare",
  (namedCurve, ecParams, bytes) => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve });
    const spki = publicKey.export({ format: "der", type: "spki" });
    const point = spki.subarray(-bytes);
    for (const ecPoint of [hex(point), hex([4, bytes], point), hex([3, bytes + 1, 0], point)]) {
      expect(Buffer.from(spkiOf(facts({ ecParams, ecPoint })))).toEqual(spki);
    }
  },
);

test("trap 2d.8: a bare point whose second byte looks like a length", () => {
  const point = Buffer.alloc(65, 7);
  point[0] = 4;
  point[1] = 63;
  expect(decodeEcPoint(point, 65)).toEqual(point);
  const inOctets = Buffer.concat([Buffer.of(4, 65), point]);
  expect(decodeEcPoint(inOctets, 65)).toEqual(point);
});

test("trap 2d.8: Ed25519, by object identifier and by name", () => {
  const { publicKey } = generateKeyPairSync("ed25519");
  const spki = publicKey.export({ format: "der", type: "spki" });
  const point = spki.subarray(-32);
  for (const ecParams of ["06032b6570", hex([0x13, 12], Buffer.from("edwards25519"))]) {
    expect(curveOf(ecParams)).toBe("ed25519");
    for (const ecPoint of [hex(point), hex([4, 32], point), hex([3, 33, 0], point)]) {
      const key = facts({ keyType: CKK.ecEdwards, ecParams, ecPoint });
      expect(Buffer.from(spkiOf(key))).toEqual(spki);
    }
  }
});

test("RSA, with leading zeros or without", () => {
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const { n = "" } = publicKey.export({ format: "jwk" });
  const modulus = Buffer.from(n, "base64url").toString("hex");
  for (const extra of ["", "00"]) {
    const key = facts({ keyType: CKK.rsa, modulus: extra + modulus, publicExponent: "010001" });
    expect(Buffer.from(spkiOf(key))).toEqual(publicKey.export({ format: "der", type: "spki" }));
  }
});

test.each([
  ["a curve that has no place here", { ecParams: "06052b81040023", ecPoint: "04" }],
  ["explicit parameters", { ecParams: "3003020101", ecPoint: "04" }],
  ["a compressed point", { ecParams: "06082a8648ce3d030107", ecPoint: `02${"11".repeat(32)}` }],
  ["a point off the curve", { ecParams: "06082a8648ce3d030107", ecPoint: `04${"11".repeat(64)}` }],
  ["no point", { ecParams: "06082a8648ce3d030107" }],
  ["no modulus", { keyType: CKK.rsa, publicExponent: "03" }],
])("%s is no public key", (_, own) => {
  expect(() => spkiOf(facts(own))).toThrow(expect.objectContaining({ code: "ERR_INTERNAL" }));
});
