import { existsSync, mkdirSync, readdirSync } from "node:fs";
import type { Kdf, SlotCredential } from "@lango/envelope";
import { describe, expect, test } from "vitest";
import { createVault } from "../src/index.ts";
import { bytes, expectCode, newHome, PASSPHRASE, quickKdf } from "./helpers.ts";
import { weakKdf } from "./weak-kdf.ts";

const key = new Uint8Array(32).fill(7);
const good: SlotCredential = { kind: "passphrase", passphrase: bytes(PASSPHRASE) };
const typed = (passphrase: Uint8Array): SlotCredential => ({ kind: "passphrase", passphrase });

const BAD: [string, readonly SlotCredential[], Kdf?][] = [
  ["no credentials", []],
  ["a passphrase of 7 characters", [typed(bytes("1234567"))]],
  ["a passphrase of 7 characters after a good one", [good, typed(bytes("1234567"))]],
  ["an empty passphrase", [typed(new Uint8Array())]],
  ["a passphrase that is no UTF-8", [typed(new Uint8Array(12).fill(0xff))]],
  ["a key of 31 bytes", [{ kind: "master-key-file", key: key.slice(1) }]],
  ["recovery entropy of 16 bytes", [good, { kind: "recovery", entropy: key.slice(16) }]],
  ["PBKDF2 without iterations", [good], { ...quickKdf(), iterations: 0 } as Kdf],
  ["a salt of 8 bytes", [good], { ...quickKdf(), salt: new Uint8Array(8) }],
  [
    "too little memory for Argon2",
    [good],
    { ...{ name: "argon2id", memoryKiB: 1, iterations: 1, parallelism: 1 }, salt: key },
  ],
  ["33 credentials", Array.from({ length: 33 }, () => ({ kind: "env", key }) as const)],
  ["a label with a newline", [{ kind: "env", key, label: "one\ntwo" }]],
  ["a label that is too long", [{ kind: "env", key, label: "x".repeat(10_000) }]],
  [
    "a key URI without a scheme",
    [{ kind: "provider", uri: "k1", keyId: "k1", provider: {} as never }],
  ],
];

describe("onboarding writes nothing with", () => {
  test.each(BAD)("%s", async (...[, credentials, kdf = quickKdf()]) => {
    const home = newHome();
    const options = { home, credentials, ...weakKdf(), kdf };
    await expectCode(() => createVault(options), "ERR_INVALID_ARGUMENT");
    expect(existsSync(home)).toBe(false);
    mkdirSync(home, { mode: 0o700 });
    await expectCode(() => createVault(options), "ERR_INVALID_ARGUMENT");
    expect(readdirSync(home)).toEqual([]);
  });
});
