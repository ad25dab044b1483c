import { randomUUID } from "node:crypto";
import { describeProvider } from "@lango/crypto-conformance/vitest";
import {
  createLocalProvider,
  generateKeyMaterial,
  type LocalKey,
  type LocalKeyAlgorithm,
} from "../src/index.ts";

const key = (id: string, algorithm: LocalKeyAlgorithm, state?: "disabled"): LocalKey => ({
  id,
  algorithm,
  versions: [
    { version: 1, material: generateKeyMaterial(algorithm), ...(state !== undefined && { state }) },
  ],
});

describeProvider("local", () => ({
  provider: createLocalProvider({
    keys: [
      key("data", "aes-256-gcm"),
      key("other", "aes-256-gcm"),
      key("rotatable", "aes-256-gcm"),
      key("disabled", "aes-256-gcm", "disabled"),
      key("mac-256", "hmac-sha256"),
      key("mac-384", "hmac-sha384"),
      key("mac-512", "hmac-sha512"),
      key("p256", "ecdsa-p256"),
      key("p384", "ecdsa-p384"),
      key("k1", "secp256k1"),
      key("ed", "ed25519"),
    ],
  }),
  keys: {
    missing: "missing",
    aead: ["data", "other"],
    signing: {
      "ecdsa-p256-sha256": "p256",
      "ecdsa-p384-sha384": "p384",
      "ecdsa-secp256k1-sha256": "k1",
      ed25519: "ed",
    },
    mac: { "hmac-sha256": "mac-256", "hmac-sha384": "mac-384", "hmac-sha512": "mac-512" },
    disabled: "disabled",
    rotatable: "rotatable",
    fresh: () => randomUUID(),
  },
  parallelCalls: 3000,
}));
