import { readFileSync } from "node:fs";
import type { HarnessKeys } from "@lango/crypto-conformance";
import { fromBase64, toBase64 } from "@lango/crypto-core";
import { generateKeyMaterial, type LocalKey, type LocalKeyAlgorithm } from "@lango/crypto-local";

const KEYS: readonly (readonly [id: string, LocalKeyAlgorithm])[] = [
  ["data", "aes-256-gcm"],
  ["other", "aes-256-gcm"],
  ["disabled", "aes-256-gcm"],
  ["mac-256", "hmac-sha256"],
  ["mac-384", "hmac-sha384"],
  ["mac-512", "hmac-sha512"],
  ["p256", "ecdsa-p256"],
  ["p384", "ecdsa-p384"],
  ["k1", "secp256k1"],
  ["ed", "ed25519"],
];

/** New keys as text: a companion that is started again has the same. */
export const makeKeys = (): string =>
  JSON.stringify(
    KEYS.map(([id, algorithm]) => {
      const material = generateKeyMaterial(algorithm);
      return { id, algorithm, material: toBase64(material) };
    }),
  );

export const readKeys = (file: string): LocalKey[] => {
  const keys: { id: string; algorithm: LocalKeyAlgorithm; material: string }[] = JSON.parse(
    readFileSync(file, "utf8"),
  );
  return keys.map(({ id, algorithm, material }) => ({
    id,
    algorithm,
    versions: [
      {
        version: 1,
        material: fromBase64(material)!,
        ...(id === "disabled" && { state: "disabled" as const }),
      },
    ],
  }));
};

/** The keys of the companion, as the checks want them. */
export const HARNESS_KEYS: HarnessKeys = {
  missing: "missing",
  aead: ["data", "other"],
  signing: {
    "ecdsa-p256-sha256": "p256",
    "ecdsa-p384-sha384": "p384",
    "ecdsa-secp256k1-sha256": "k1",
    ed25519: "ed",
    "rsa-pss-sha256": "rsa-pss-sha256",
    "rsa-pss-sha384": "rsa-pss-sha384",
    "rsa-pss-sha512": "rsa-pss-sha512",
    "rsa-pkcs1-sha256": "rsa-pkcs1-sha256",
    "rsa-pkcs1-sha384": "rsa-pkcs1-sha384",
    "rsa-pkcs1-sha512": "rsa-pkcs1-sha512",
  },
  mac: { "hmac-sha256": "mac-256", "hmac-sha384": "mac-384", "hmac-sha512": "mac-512" },
  disabled: "disabled",
};
