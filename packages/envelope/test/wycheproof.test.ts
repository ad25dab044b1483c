import { runVectors } from "@lango/crypto-conformance/vectors";
import { derivePassphraseKey, hkdf } from "@lango/envelope";
import { expect, it } from "vitest";
import { codeOf, hex, toHex } from "./support.ts";

interface HkdfVector {
  readonly ikm: string;
  readonly salt: string;
  readonly info: string;
  readonly size: number;
  readonly okm: string;
}

interface Pbkdf2Vector {
  readonly password: string;
  readonly salt: string;
  readonly iterationCount: number;
  readonly dkLen: number;
  readonly dk: string;
}

it("HKDF-SHA-256", async () => {
  const run = await runVectors<HkdfVector>("wycheproof/hkdf_sha256_test", {
    run: async ({ ikm, salt, info, size, okm, result }) => {
      const derive = () => hkdf(hex(ikm), hex(salt), hex(info), size);
      if (result === "invalid") expect(await codeOf(derive)).toBe("ERR_INVALID_ARGUMENT");
      else expect(toHex(derive())).toBe(okm);
    },
  });
  expect(run).toBeGreaterThan(80);
});

it("PBKDF2-HMAC-SHA-256", { timeout: 120_000 }, async () => {
  const run = await runVectors<Pbkdf2Vector>("wycheproof/pbkdf2_hmacsha256_test", {
    leaveOut: ({ salt, dkLen }) => {
      if (salt.length < 32 || salt.length > 128) return "salts have 16 to 64 bytes here";
      return dkLen < 32 ? "keys have 32 bytes here" : undefined;
    },
    run: async ({ password, salt, iterationCount, dk }) => {
      const key = await derivePassphraseKey(hex(password), {
        name: "pbkdf2-sha256",
        iterations: iterationCount,
        salt: hex(salt),
      });
      // The first block of a longer output is that of 32 bytes (RFC 8018 §5.2).
      expect(toHex(key)).toBe(dk.slice(0, 64));
    },
  });
  expect(run).toBeGreaterThan(0);
});
