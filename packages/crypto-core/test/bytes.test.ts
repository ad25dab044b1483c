import { runInNewContext } from "node:vm";
import {
  bytesEqual,
  concat,
  fromBase64,
  fromBase64Url,
  fromHex,
  isBytes,
  parts,
  randomBytesFresh,
  toBase64,
  toBase64Url,
  toHex,
  toPlain,
  utf8,
  zero,
} from "@lango/crypto-core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

const CODECS = [
  { name: "hex", encode: toHex, decode: fromHex },
  { name: "base64", encode: toBase64, decode: fromBase64 },
  { name: "base64url", encode: toBase64Url, decode: fromBase64Url },
];

describe("encodings", () => {
  // RFC 4648 §10
  it.each([
    ["", "", ""],
    ["f", "Zg==", "66"],
    ["fo", "Zm8=", "666f"],
    ["foo", "Zm9v", "666f6f"],
    ["foob", "Zm9vYg==", "666f6f62"],
    ["fooba", "Zm9vYmE=", "666f6f6261"],
    ["foobar", "Zm9vYmFy", "666f6f626172"],
  ])("agree with RFC 4648 on %j", (text, base64, hex) => {
    expect(toBase64(utf8(text))).toBe(base64);
    expect(toHex(utf8(text))).toBe(hex);
    expect(fromBase64(base64)).toEqual(utf8(text));
    expect(fromHex(hex.toUpperCase())).toEqual(utf8(text));
    expect(fromBase64Url(base64.replaceAll("=", ""))).toEqual(utf8(text));
  });

  it.each(CODECS)("$name gives the bytes back, in memory of their own", ({ encode, decode }) => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const decoded = decode(encode(bytes));
        expect(decoded).toEqual(new Uint8Array(bytes));
        expect(decoded?.buffer.byteLength).toBe(bytes.length);
      }),
    );
  });

  it.each(CODECS)(
    "$name takes a text only if it is the one text of its bytes",
    ({ name, encode, decode }) => {
      fc.assert(
        fc.property(fc.string({ unit: fc.constantFrom(..."AZaz09+/-_= \nfgé") }), (text) => {
          const decoded = decode(text);
          if (decoded === undefined) return;
          expect(encode(decoded)).toBe(name === "hex" ? text.toLowerCase() : text);
        }),
      );
    },
  );

  it.each([
    [fromHex, "0"],
    [fromHex, "0g"],
    [fromHex, "00 "],
    [fromBase64, "Zg"],
    [fromBase64, "Zh=="],
    [fromBase64, "Zg==\n"],
    [fromBase64, "Zg==Zg=="],
    [fromBase64, "-_8="],
    [fromBase64, "="],
    [fromBase64Url, "Zg=="],
    [fromBase64Url, "Zh"],
    [fromBase64Url, "+/8"],
    [fromBase64Url, "Z"],
  ])("%o refuses %j", (decode, text) => {
    expect(decode(text)).toBeUndefined();
  });
});

describe("bytes", () => {
  it("encodes text and refuses a lone surrogate", () => {
    expect(toHex(utf8("é€😀"))).toBe("c3a9e282acf09f9880");
    expect(() => utf8("\ud800")).toThrow(expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }));
  });

  it("joins parts in new memory", () => {
    const part = Uint8Array.of(1, 2);
    const joined = concat(part, new Uint8Array(), Uint8Array.of(3));
    part.fill(9);
    expect(joined).toEqual(Uint8Array.of(1, 2, 3));
  });

  it("joins parts with their number and lengths, texts as their bytes", () => {
    const expected = "00000003" + "00000009c3a9e282acf09f9880" + "00000000" + "0000000201ff";
    for (const text of ["é€😀", utf8("é€😀")]) {
      expect(toHex(parts(text, "", Uint8Array.of(1, 255)))).toBe(expected);
    }
    expect(toHex(parts())).toBe("00000000");
    expect(() => parts("\ud800")).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }),
    );
  });

  it("compares", () => {
    expect(bytesEqual(utf8("same"), utf8("same"))).toBe(true);
    expect(bytesEqual(utf8("same"), utf8("sama"))).toBe(false);
    expect(bytesEqual(utf8("same"), utf8("sam"))).toBe(false);
    expect(bytesEqual(new Uint8Array(), new Uint8Array())).toBe(true);
  });

  it("zeroes what is there", () => {
    const secret = Uint8Array.of(1, 2, 3);
    zero(secret, undefined);
    expect(secret).toEqual(new Uint8Array(3));
  });

  it("keeps memory that is all its own and copies a slice of a pool", () => {
    const own = Buffer.from(new ArrayBuffer(4));
    expect(toPlain(own).buffer).toBe(own.buffer);
    const pooled = Buffer.from("secret");
    const plain = toPlain(pooled);
    expect(Object.getPrototypeOf(plain)).toBe(Uint8Array.prototype);
    pooled.fill(0);
    expect(plain).toEqual(utf8("secret"));
    expect(plain.buffer.byteLength).toBe(6);
  });

  it("knows Uint8Arrays of any realm from other things", () => {
    for (const value of [
      new Uint8Array(1),
      Buffer.alloc(1),
      runInNewContext("new Uint8Array(1)"),
    ]) {
      expect(isBytes(value)).toBe(true);
    }
    for (const value of [undefined, null, "text", [1], new Uint16Array(1), new ArrayBuffer(1)]) {
      expect(isBytes(value)).toBe(false);
    }
  });
});

describe("randomBytesFresh", () => {
  it.each([0, 1, 12, 32, 4095, 4096, 4097, 20_000])("gives %i bytes of its own", (length) => {
    const bytes = randomBytesFresh(length);
    expect(bytes.length).toBe(length);
    expect(bytes.buffer.byteLength).toBe(length);
  });

  it("never repeats, over the limits of its batches too", () => {
    const seen = new Set<string>();
    for (let i = 0; i < 5000; i++) seen.add(toHex(randomBytesFresh(12)));
    expect(seen.size).toBe(5000);
  });

  it("fills all of a long output with what looks random", () => {
    const bytes = randomBytesFresh(1 << 20);
    const counts = new Uint32Array(256);
    for (const byte of bytes) counts[byte]!++;
    // Each of 256 values is expected 4096 times, with a deviation of 64.
    for (const count of counts) expect(Math.abs(count - 4096)).toBeLessThan(64 * 8);
    expect(bytes.subarray(-64)).not.toEqual(new Uint8Array(64));
  });
});
