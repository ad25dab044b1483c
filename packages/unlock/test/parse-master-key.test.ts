import { isCryptoError, utf8 } from "@lango/crypto-core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseMasterKey } from "../src/index.ts";

const failure = (text: string | Uint8Array): Error => {
  try {
    parseMasterKey(typeof text === "string" ? utf8(text) : text);
  } catch (error) {
    expect(isCryptoError(error) && error.code).toBe("ERR_CONFIG");
    return error as Error;
  }
  throw new Error("a bad key was accepted");
};

const key = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .filter((bytes) => new Set(bytes).size > 1);
const text = (bytes: Uint8Array, encoding: "hex" | "base64"): string =>
  Buffer.from(bytes).toString(encoding);

describe("a key is read", () => {
  test.each(["hex", "base64"] as const)("from %s, with one line ending or none", (encoding) => {
    fc.assert(
      fc.property(key, fc.constantFrom("", "\n", "\r\n"), (bytes, ending) => {
        const parsed = parseMasterKey(utf8(text(bytes, encoding) + ending));
        expect([...parsed]).toEqual([...bytes]);
        expect(parsed.buffer.byteLength).toBe(32);
      }),
    );
  });
  test("from hexadecimal in capitals", () => {
    const bytes = Uint8Array.from({ length: 32 }, (_, i) => 255 - i);
    expect([...parseMasterKey(utf8(text(bytes, "hex").toUpperCase()))]).toEqual([...bytes]);
  });
});

describe("a key is refused with what was found", () => {
  const hex = "9f8e7d6c5b4a39281706f5e4d3c2b1a0".repeat(2);
  const base64 = Buffer.from(hex, "hex").toString("base64");
  test.each([
    ["", "found nothing"],
    ["\n", "found nothing"],
    [hex.slice(1), "found 63 characters (digits, letters)"],
    [`${hex}0`, "found 65 characters (digits, letters)"],
    [`${hex.slice(1)}g`, "found 64 characters (digits, letters)"],
    [` ${hex}`, "found 65 characters (digits, letters, spaces)"],
    [`${hex}\n\n`, "found 65 characters (digits, letters, spaces)"],
    [`"${hex}"`, "found 66 characters (digits, letters, quotes)"],
    [`0x${hex}`, "found 66 characters (digits, letters)"],
    [base64.slice(0, -1), "found 43 characters"],
    [`${base64}=`, "found 45 characters"],
    [base64.replaceAll("+", "-").replaceAll("/", "_"), "found 44 characters"],
    // The last digit before the padding carries two spare bits.
    [`${base64.slice(0, -2)}${base64.at(-2) === "B" ? "C" : "B"}=`, "found 44 characters"],
    [Buffer.alloc(31, 7).toString("base64"), "found 44 characters"],
    [Buffer.alloc(33, 7).toString("base64"), "found 44 characters"],
    ["x", "found 1 character (letters)"],
    [Uint8Array.from({ length: 32 }, (_, i) => i * 8), "found 32 bytes that are not plain text"],
  ])("%j", (bad, message) => {
    expect(failure(bad).message).toContain(message);
  });

  test("the trap of 32 ASCII characters is explained, and only for them", () => {
    expect(failure("0123456789abcdef0123456789abcdef").message).toContain(
      "found 32 characters (digits, letters); 32 characters are 32 bytes only to a program",
    );
    expect(failure("0123456789abcdef0123456789abcde").message).not.toContain("only to a program");
  });

  test("and nothing of it is shown", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 8, maxLength: 60, unit: "grapheme-ascii" }), (bad) => {
        fc.pre(Buffer.from(bad, "base64").length !== 32);
        const error = failure(bad);
        // Eight characters in a row do not turn up by chance, unless they are words of the message itself.
        fc.pre(!failure("?").message.includes(bad.slice(0, 8)));
        expect(JSON.stringify([error.message, error])).not.toContain(bad.slice(0, 8));
      }),
    );
  });
});

test.each([
  "00".repeat(32),
  Buffer.alloc(32).toString("base64"),
  "ff".repeat(32),
  "a1b2c3d4e5f6789012345678901234567890abcdef1234567890abcdef123456",
  "A1B2C3D4E5F6789012345678901234567890ABCDEF1234567890ABCDEF123456",
  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
])("the known key %s is refused", (known) => {
  expect(failure(known).message).toContain("known from documentation");
});
