import { createSecretKey } from "node:crypto";
import { hkdf, jcs, parts } from "@lango/envelope";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytes, codeOf, expectPlain, hex, text, toHex } from "./support.ts";

describe("parts", () => {
  it("writes count, lengths and bytes", () => {
    expect(toHex(parts())).toBe("00000000");
    expect(toHex(parts(text("ab"), bytes(0)))).toBe("00000002000000026162" + "00000000");
    expectPlain(parts(text("ab")));
  });

  it("gives different bytes for different lists", () => {
    const lists = fc.array(fc.uint8Array({ maxLength: 6 }), { maxLength: 5 });
    const key = (list: Uint8Array[]): string => JSON.stringify(list.map(toHex));
    fc.assert(
      fc.property(lists, lists, (a, b) => {
        expect(toHex(parts(...a)) === toHex(parts(...b))).toBe(key(a) === key(b));
      }),
    );
  });
});

describe("hkdf", () => {
  // RFC 5869, appendix A: the test cases with SHA-256.
  const cases = [
    {
      ikm: "0b".repeat(22),
      salt: "000102030405060708090a0b0c",
      info: "f0f1f2f3f4f5f6f7f8f9",
      okm: "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    },
    {
      ikm: toHex(Uint8Array.from({ length: 80 }, (_, i) => i)),
      salt: toHex(Uint8Array.from({ length: 80 }, (_, i) => 0x60 + i)),
      info: toHex(Uint8Array.from({ length: 80 }, (_, i) => 0xb0 + i)),
      okm:
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09" +
        "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    },
    {
      ikm: "0b".repeat(22),
      salt: "",
      info: "",
      okm: "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    },
  ];

  it.each(cases)("RFC 5869 A: $okm", ({ ikm, salt, info, okm }) => {
    const derived = hkdf(hex(ikm), hex(salt), hex(info), okm.length / 2);
    expect(toHex(derived)).toBe(okm);
    expectPlain(derived);
    expect(toHex(hkdf(createSecretKey(hex(ikm)), hex(salt), hex(info), 42))).toBe(okm.slice(0, 84));
  });

  it("gives 32 bytes by default and takes text as UTF-8", () => {
    expect(hkdf(bytes(32), bytes(12), "é")).toHaveLength(32);
    expect(hkdf(bytes(32), bytes(12), "é")).toEqual(hkdf(bytes(32), bytes(12), text("é")));
  });

  it("refuses lengths that HKDF does not have", async () => {
    for (const length of [0, -1, 1.5, 8161, Number.NaN]) {
      expect(await codeOf(() => hkdf(bytes(32), bytes(0), "x", length))).toBe(
        "ERR_INVALID_ARGUMENT",
      );
    }
    expect(hkdf(bytes(32), bytes(0), "x", 8160)).toHaveLength(8160);
  });
});

describe("jcs", () => {
  it("writes the example of RFC 8785 §3.2.2–3.2.4", () => {
    const value = {
      numbers: [Number("333333333.33333329"), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '€$\u000f\nA\'B"\\\\"/',
      literals: [null, true, false],
    };
    expect(jcs(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  it("sorts keys by UTF-16 code units, as RFC 8785 §3.2.3 shows", () => {
    const value = {
      "€": "Euro Sign",
      "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One",
      "😀": "Emoji: Grinning Face",
      "\u0080": "Control",
      ö: "Latin Small Letter O With Diaeresis",
    };
    expect([...jcs(value).matchAll(/:"([^"]+)"/g)].map((found) => found[1])).toEqual([
      "Carriage Return",
      "One",
      "Control",
      "Latin Small Letter O With Diaeresis",
      "Euro Sign",
      "Emoji: Grinning Face",
      "Hebrew Letter Dalet With Dagesh",
    ]);
  });

  it("means the same as the value, whatever the order of the keys", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const canonical = jcs(value as never);
        expect(JSON.parse(canonical)).toEqual(JSON.parse(JSON.stringify(value)));
        const reversed = JSON.parse(JSON.stringify(value), (_, member: unknown) =>
          typeof member === "object" && member !== null && !Array.isArray(member)
            ? Object.fromEntries(Object.entries(member).reverse())
            : member,
        );
        expect(jcs(reversed)).toBe(canonical);
      }),
    );
  });

  it("refuses what JSON cannot say", async () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, "\ud800", undefined, () => 1, 1n]) {
      expect(await codeOf(() => jcs(value as never))).toBe("ERR_INVALID_ARGUMENT");
      expect(await codeOf(() => jcs([value] as never))).toBe("ERR_INVALID_ARGUMENT");
    }
    expect(jcs({ a: undefined, b: 1 } as never)).toBe('{"b":1}');
  });
});
