import { parseJsonStrict } from "@lango/envelope";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { codeOf, errorOf, hex, text } from "./support.ts";

const parse = (input: string | Uint8Array) => parseJsonStrict(input, { maxBytes: 10_000 });

describe("parseJsonStrict", () => {
  it("reads what JSON.parse reads", () => {
    fc.assert(
      fc.property(fc.json({ noUnicodeString: false }), (input) => {
        fc.pre(input.length < 2_000 && !/\\ud[89a-f]/i.test(input));
        expect(parse(input)).toEqual(JSON.parse(input));
        expect(parse(text(input))).toEqual(JSON.parse(input));
      }),
    );
    expect(parse(' [ 1 , -0.5e+3 , "\\u00e9\\n" , { } , [ ] , true , null ] ')).toEqual(
      JSON.parse('[1,-0.5e+3,"\\u00e9\\n",{},[],true,null]'),
    );
  });

  it("refuses what JSON.parse refuses", () => {
    const noise = fc.string({
      unit: fc.constantFrom(...'{}[]",:01-e.\\utrfalsn \n'),
      maxLength: 12,
    });
    fc.assert(
      fc.property(noise, (input) => {
        let expected: { value: unknown } | undefined;
        try {
          expected = { value: JSON.parse(input) };
        } catch {
          expected = undefined;
        }
        if (expected === undefined) expect(() => parse(input)).toThrow(/^JSON /);
        // Duplicate keys and lone surrogates are refused on top of that.
        else if (!input.includes("{") && !input.includes("\\u")) {
          expect(parse(input)).toEqual(expected.value);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it("reads a string of any length", () => {
    const long = "a\n".repeat(8_000_000);
    expect(parseJsonStrict(JSON.stringify(long), { maxBytes: 2 ** 25 }) === long).toBe(true);
  });

  it.each([
    ["", "JSON ends too early, after 0 characters"],
    ['{"a":1', "JSON ends too early, after 6 characters"],
    ['{"a":1}x', "JSON has text after the end at position 7"],
    ["[1,]", "JSON has an unexpected character at position 3"],
    ["[01]", "JSON has an unexpected character at position 2"],
    ['["\u0001"]', "JSON has an ill-formed string at position 1"],
    ['["\\ud800"]', "JSON has a lone surrogate at position 1"],
    ['["\\x"]', "JSON has an ill-formed string at position 1"],
    ['["a', "JSON has an ill-formed string at position 1"],
    ['["a\\"', "JSON has an ill-formed string at position 1"],
    ["[1e999]", "JSON has a number that is too large at position 6"],
    ["\ufeff1", "JSON has an unexpected character at position 0"],
    ['{"a":{"b/~":1,"b/~":2}}', 'JSON has the key "/a/b~1~0" twice'],
    ['[{"a":1,"\\u0061":2}]', 'JSON has the key "/0/a" twice'],
  ])("says what is wrong with %j", async (input, message) => {
    const error = await errorOf(() => parse(input));
    expect(error.code).toBe("ERR_MALFORMED_ENVELOPE");
    expect(error.message).toBe(message);
  });

  it("refuses bytes that are not UTF-8, and a byte order mark", async () => {
    expect((await errorOf(() => parse(hex("22ff22")))).message).toBe("JSON is not valid UTF-8");
    expect(await codeOf(() => parse(hex("efbbbf31")))).toBe("ERR_MALFORMED_ENVELOPE");
  });

  it("looks at the length first, in bytes", async () => {
    const error = await errorOf(() => parseJsonStrict('"éé"', { maxBytes: 5 }));
    expect(error.message).toBe("JSON has 6 bytes, more than 5");
    expect(parseJsonStrict('"éé"', { maxBytes: 6 })).toBe("éé");
  });

  it("refuses more than 32 levels", async () => {
    const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
    expect(parse(nested(32))).toBeDefined();
    expect(await codeOf(() => parse(nested(33)))).toBe("ERR_MALFORMED_ENVELOPE");
    expect(await codeOf(() => parse("[".repeat(9_999)))).toBe("ERR_MALFORMED_ENVELOPE");
  });

  it("does not hang on many lists under a long key", () => {
    // When each list read its path, this took minutes: the time limit of a test is what fails then.
    const input = `{"${"k".repeat(500_000)}":[${Array(160_000).fill("[]").join()}]}`;
    expect(parseJsonStrict(input, { maxBytes: 1_000_000 })).toBeDefined();
  });

  it("does not repeat a whole path in its message", async () => {
    const key = "k".repeat(4_000);
    const error = await errorOf(() => parse(`{"${key}":1,"${key}":2}`));
    expect(error.message).toBe(`JSON has the key "/${"k".repeat(255)}…" twice`);
  });

  it("takes __proto__ as a key like any other", () => {
    const value = parse('{"__proto__":{"admin":true}}') as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(["__proto__"]);
    expect(value["admin"]).toBeUndefined();
  });
});
