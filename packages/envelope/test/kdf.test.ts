// A namespace: Node 22 has no argon2, and a named import of what is not there fails the module.
import * as nodeCrypto from "node:crypto";
import {
  defaultKdf,
  derivePassphraseKey,
  isBelowFloor,
  type Kdf,
  kdfFromJson,
  kdfToJson,
  normalizePassphrase,
  parseKdfOption,
} from "@lango/envelope";
import * as accelerator from "@node-rs/argon2";
import { describe, expect, it } from "vitest";
import { deriveWithAccelerator, deriveWithNode } from "../src/kdf.ts";
import { bytes, codeOf, errorOf, expectPlain, hex, pattern, text, toHex } from "./support.ts";

const hasNodeArgon2 = typeof nodeCrypto.argon2 === "function";
const quick = {
  name: "argon2id",
  memoryKiB: 256,
  iterations: 2,
  parallelism: 2,
  salt: pattern(16),
} as const;

describe("published vectors", () => {
  it("RFC 9106 §5.3: Argon2id of this Node, with secret and associated data", async () => {
    if (!hasNodeArgon2) {
      // Node 22: there is nothing of Node to check, and derivePassphraseKey says so.
      expect(await codeOf(() => deriveWithNode(bytes(8), quick))).toBe("ERR_UNSUPPORTED");
      return;
    }
    const tag = nodeCrypto.argon2Sync("argon2id", {
      message: bytes(32, 1),
      nonce: bytes(16, 2),
      secret: bytes(8, 3),
      associatedData: bytes(12, 4),
      memory: 32,
      passes: 3,
      parallelism: 4,
      tagLength: 32,
    });
    expect(toHex(tag)).toBe("0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
  });

  // RFC 7914 §11; the salts are shorter than a Kdf allows, so the function under it is checked.
  it.each([
    ["passwd", "salt", 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"],
    [
      "Password",
      "NaCl",
      80_000,
      "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56",
    ],
  ])("RFC 7914 §11: PBKDF2-HMAC-SHA-256 of %s", (password, salt, iterations, key) => {
    expect(toHex(nodeCrypto.pbkdf2Sync(password, salt, iterations, 32, "sha256"))).toBe(key);
  });
});

describe("derivePassphraseKey", () => {
  it("gives the same Argon2id from both implementations, and from the one it chooses", async () => {
    for (const kdf of [
      quick,
      { ...quick, memoryKiB: 1_024, iterations: 1, parallelism: 4 },
      { ...quick, salt: pattern(32) },
    ]) {
      const fast = await deriveWithAccelerator(accelerator, text("correct horse"), kdf);
      expect(await derivePassphraseKey(text("correct horse"), kdf)).toEqual(fast);
      expectPlain(fast);
      if (hasNodeArgon2) {
        const own = await deriveWithNode(text("correct horse"), kdf);
        expect(own).toEqual(fast);
        expectPlain(own);
      }
    }
  });

  it("is PBKDF2 as Node computes it", async () => {
    const kdf: Kdf = { name: "pbkdf2-sha256", iterations: 1_000, salt: pattern(16) };
    const key = await derivePassphraseKey(text("correct horse"), kdf);
    expectPlain(key);
    expect(toHex(key)).toBe(
      toHex(nodeCrypto.pbkdf2Sync("correct horse", pattern(16), 1_000, 32, "sha256")),
    );
  });

  it("depends on every cost and on the salt", async () => {
    const variants: Kdf[] = [
      quick,
      { ...quick, memoryKiB: 264 },
      { ...quick, iterations: 3 },
      { ...quick, parallelism: 1 },
      { ...quick, salt: pattern(16, 1) },
      { name: "pbkdf2-sha256", iterations: 2, salt: pattern(16) },
      { name: "pbkdf2-sha256", iterations: 3, salt: pattern(16) },
    ];
    const keys = await Promise.all(variants.map((kdf) => derivePassphraseKey(text("pass"), kdf)));
    expect(new Set(keys.map(toHex)).size).toBe(variants.length);
  });

  it("refuses costs out of range", async () => {
    const pbkdf2 = { name: "pbkdf2-sha256", iterations: 1, salt: pattern(16) } as const;
    const wrong: Kdf[] = [
      { ...quick, memoryKiB: 15 },
      { ...quick, memoryKiB: 1_048_577 },
      { ...quick, iterations: 0 },
      { ...quick, iterations: 17 },
      { ...quick, parallelism: 0 },
      { ...quick, parallelism: 17, memoryKiB: 1_024 },
      { ...quick, iterations: 1.5 },
      { ...quick, salt: pattern(15) },
      { ...quick, salt: pattern(65) },
      { ...pbkdf2, iterations: 0 },
      { ...pbkdf2, iterations: 10_000_001 },
      { ...pbkdf2, iterations: Number.NaN },
    ];
    for (const kdf of wrong) {
      expect(await codeOf(() => derivePassphraseKey(text("pass"), kdf))).toBe(
        "ERR_INVALID_ARGUMENT",
      );
      expect(await codeOf(() => kdfFromJson(kdfToJson(kdf)))).toBe("ERR_MALFORMED_ENVELOPE");
    }
  });
});

describe("costs", () => {
  it("has Argon2id with 64 MiB, 3 passes, 4 lanes and a new salt by default", () => {
    const { salt, ...costs } = defaultKdf();
    expect(costs).toEqual({ name: "argon2id", memoryKiB: 65_536, iterations: 3, parallelism: 4 });
    expect(salt).toHaveLength(16);
    expect(toHex(defaultKdf().salt)).not.toBe(toHex(salt));
    expect(parseKdfOption("argon2id")).toMatchObject(costs);
  });

  it("reads --kdf", async () => {
    expect(parseKdfOption("pbkdf2-sha256")).toMatchObject({
      name: "pbkdf2-sha256",
      iterations: 600_000,
    });
    expect(parseKdfOption("pbkdf2-sha256:100000")).toMatchObject({ iterations: 100_000 });
    for (const option of [
      "",
      "scrypt",
      "argon2",
      "pbkdf2-sha256:",
      "pbkdf2-sha256:0",
      "pbkdf2-sha256:10000001",
      "pbkdf2-sha256:1e3",
      "pbkdf2-sha256:-1",
      "argon2id:1",
    ]) {
      expect(await codeOf(() => parseKdfOption(option))).toBe("ERR_INVALID_ARGUMENT");
    }
  });

  it("knows the floor", () => {
    expect(isBelowFloor(defaultKdf())).toBe(false);
    expect(isBelowFloor({ ...quick, memoryKiB: 19 * 1_024, parallelism: 1 })).toBe(false);
    expect(isBelowFloor({ ...quick, memoryKiB: 19 * 1_024 - 1 })).toBe(true);
    expect(isBelowFloor({ ...quick, memoryKiB: 19 * 1_024, iterations: 1 })).toBe(true);
    expect(isBelowFloor(parseKdfOption("pbkdf2-sha256"))).toBe(false);
    expect(isBelowFloor(parseKdfOption("pbkdf2-sha256:599999"))).toBe(true);
  });

  it("goes through its JSON form and back", async () => {
    for (const kdf of [defaultKdf(), parseKdfOption("pbkdf2-sha256")]) {
      expect(kdfFromJson(kdfToJson(kdf))).toEqual(kdf);
    }
    const noBase64 = { ...kdfToJson(quick), salt: "AAAAAAAAAAAAAAAAAAAAAB" };
    expect(await codeOf(() => kdfFromJson(noBase64))).toBe("ERR_MALFORMED_ENVELOPE");
  });
});

describe("normalizePassphrase", () => {
  const normal = (raw: string | Uint8Array) =>
    normalizePassphrase(typeof raw === "string" ? text(raw) : raw);

  it("strips one trailing newline, LF or CRLF, and nothing else", () => {
    for (const [raw, expected] of [
      ["12345678", "12345678"],
      ["12345678\n", "12345678"],
      ["12345678\r\n", "12345678"],
      ["12345678\n\n", "12345678\n"],
      ["12345678\r", "12345678\r"],
      [" 12345678 ", " 12345678 "],
      ["\n12345678", "\n12345678"],
    ] as const) {
      expect(normal(raw)).toEqual(text(expected));
    }
  });

  it("takes composed and decomposed letters as the same", () => {
    expect(normal("cafe\u0301 au lait")).toEqual(normal("caf\u00e9 au lait"));
    expect(normal("caf\u00e9 au lait")).toEqual(text("caf\u00e9 au lait"));
    expect(normal("\u1112\u1161\u11ab\u1100\u1173\u11af password")).toEqual(
      text("\ud55c\uae00 password"),
    );
  });

  it("counts code points, after NFC and without the newline", async () => {
    expect(normal("😀".repeat(8))).toEqual(text("😀".repeat(8)));
    for (const [raw, count] of [
      ["", 0],
      ["\n", 0],
      ["1234567", 7],
      ["1234567\n", 7],
      ["😀".repeat(7), 7],
      ["e\u0301".repeat(7), 7],
    ] as const) {
      const error = await errorOf(() => normal(raw));
      expect(error.code).toBe("ERR_INVALID_ARGUMENT");
      expect(error.message).toBe(`The passphrase has ${count} characters; it needs at least 8`);
    }
  });

  it("refuses what is not UTF-8, without repeating it", async () => {
    for (const raw of [
      "ff".repeat(8),
      "c3",
      "eda080eda080eda080",
      "c0af".repeat(8),
      "41414141414141c3",
    ]) {
      const error = await errorOf(() => normal(hex(raw)));
      expect(error.message).toBe("The passphrase is not valid UTF-8");
      expect(error.cause).toBeUndefined();
    }
  });

  it("keeps a byte order mark and leaves its argument alone", () => {
    expect(normal("\ufeff12345678")).toEqual(text("\ufeff12345678"));
    for (const raw of ["correct horse\n", "caf\u00e9 au lait\n"]) {
      const buffer = Buffer.from(raw);
      expectPlain(normalizePassphrase(buffer));
      expect(buffer.toString()).toBe(raw);
    }
  });
});
