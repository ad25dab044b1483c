import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { createScanner } from "../src/index.ts";
import { include, includeTwice, noBits } from "../src/scanner/bits.ts";
import { hashGram } from "../src/scanner/grams.ts";
import { MaskTokens } from "../src/scanner/mask-tokens.ts";
import { createWorkshop, StreamMasker } from "../src/scanner/masker.ts";
import { SecretIndex } from "../src/scanner/secret-index.ts";
import { DENSE_RUN, hasDenseLine, isDense } from "../src/scanner/survey.ts";
import { Text } from "../src/scanner/text.ts";
import { createTexts } from "../src/scanner/wasm/wasm-text.ts";

// WebAssembly does what JavaScript does, on every text.

const EMPTY = new Uint8Array();
const signs = fc.constantFrom(
  ..."\\uxUX;&#=\r\n\x1b ".split(""),
  "\\u0041\\u",
  "\\x41\\x",
  ";&#",
  "=\r\n",
);
const dense = fc.string({ unit: fc.constantFrom(..."aZ09+/-_="), minLength: 40, maxLength: 80 });
const bytes = fc
  .array(
    fc.oneof(
      signs.map(Buffer.from),
      dense.map((each) => Buffer.from(`${each}\n`)),
      fc.uint8Array({ maxLength: 30 }),
      fc.string({ maxLength: 30 }).map(Buffer.from),
    ),
    { maxLength: 12 },
  )
  .map((parts) => new Uint8Array(Buffer.concat(parts)));

describe("a line that ends in many dense bytes", () => {
  const runs = fc
    .array(
      fc.oneof(
        fc.string({ unit: fc.constantFrom(..."aZ09+/-_="), minLength: 1, maxLength: 200 }),
        fc.constantFrom("\n", "\r", "\r\n", " ", "x y"),
      ),
      { maxLength: 8 },
    )
    .map((parts) => new Uint8Array(Buffer.from(parts.join(""))));

  it("is found wherever it is", () => {
    const slowly = (input: Uint8Array, runBefore: number): boolean => {
      let run = runBefore;
      for (const byte of input) {
        if ((byte === 0x0a || byte === 0x0d) && run >= DENSE_RUN) return true;
        run = isDense(byte) ? run + 1 : 0;
      }
      return false;
    };
    fc.assert(
      fc.property(runs, fc.nat(DENSE_RUN), (input, runBefore) => {
        const text = new Text();
        text.set(EMPTY, input);
        expect(hasDenseLine(text, runBefore)).toBe(slowly(input, runBefore));
      }),
      { numRuns: 3000 },
    );
  });

  it("is looked for once, however long a run is", () => {
    const input = Buffer.from(`${"a".repeat(65_536)} ${"b".repeat(65_536)}`);
    let reads = 0;
    const bytes = new Proxy(input, {
      get(target, name) {
        reads += 1;
        return target[Number(name)];
      },
    });
    expect(hasDenseLine({ bytes, length: input.length } as unknown as Text, 0)).toBe(false);
    expect(reads).toBeLessThan(3 * input.length);
  });
});

describe("the two ways to search a text", () => {
  const [wasm] = createTexts();
  const plain = new Text();
  const both = (input: Uint8Array) => {
    for (const text of [wasm, plain]) text.set(EMPTY, input);
  };

  it("are two", () => expect(wasm.constructor).not.toBe(plain.constructor));

  it("tell the same of a text", () => {
    fc.assert(
      fc.property(bytes, fc.nat(56), (input, runBefore) => {
        both(input);
        expect(wasm.survey(runBefore)).toBe(plain.survey(runBefore));
      }),
      { numRuns: 3000 },
    );
  });

  it("find the same grams, in bitmaps of all sizes", () => {
    const sizes = fc.integer({ min: 10, max: 24 });
    fc.assert(
      fc.property(bytes, sizes, sizes, (input, log8, log4) => {
        fc.pre(input.length >= 16);
        both(input);
        const [eights, fours, beginnings] = [noBits(log8), noBits(log4), noBits(21)];
        for (let at = 0; at + 8 <= input.length; at += 5) {
          include(eights, hashGram(8, input, at));
          include(fours, hashGram(4, input, at));
          if (at % 3 === 0) includeTwice(beginnings, hashGram(8, input, at));
        }
        const from = (input.length >> 4) << 3;
        const hitsOf = (text: Text) => {
          const { list, count } = text.sweep(from, text.length, eights, fours);
          return [...list.subarray(0, count)].filter((hit) => hit < text.length - 8);
        };
        expect(hitsOf(wasm)).toEqual(hitsOf(plain));
        for (let at = 0; at < input.length; at++) {
          const found = plain.findEight(at, beginnings);
          expect(wasm.findEight(at, beginnings)).toBe(found);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("keep a text when it outgrows its memory", () => {
    for (const text of createTexts()) {
      const input = Uint8Array.from({ length: 300_000 }, (_, i) => i * 7);
      text.set(input.subarray(0, 100), input.subarray(100));
      text.reserve(1_000_000);
      expect(Buffer.from(text.bytes.buffer, text.bytes.byteOffset, text.length).equals(input)).toBe(
        true,
      );
    }
  });

  it("mask the same", async () => {
    const secrets = ["sk-live-abcdef", "abcdef", "x\\u0041y\\u0042", "line one1\nline two2"].map(
      (value, i) => ({
        name: `n${i}`,
        value: Buffer.from(value),
      }),
    );
    using scanner = await createScanner({ secrets });
    const index = new SecretIndex();
    for (const { name, value } of secrets) for (const _ of index.set(name, value));
    const shop = createWorkshop(index, new MaskTokens(index), [new Text(), new Text()]);
    const values = secrets.map((each) => each.value);
    const written = fc.constantFrom(
      ...values,
      ...values.flatMap((each) => [
        Buffer.from(each.toString("base64")),
        Buffer.from(each.toString("hex")),
        Buffer.from(each.toString().replace(/./g, "$&\x1b[m")),
        Buffer.from(each.toString(), "utf16le"),
      ]),
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(written, bytes), { maxLength: 8 }), (parts) => {
        const text = Buffer.concat(parts);
        const masker = new StreamMasker(shop);
        const output = Buffer.concat([...masker.write(text), ...masker.end()]);
        expect(output.equals(scanner.scan(text).output)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it("are one where there is no WebAssembly", async () => {
    vi.stubGlobal("WebAssembly", undefined);
    try {
      expect(createTexts().map((text) => text.constructor)).toEqual([Text, Text]);
      using scanner = await createScanner({
        secrets: [{ name: "k", value: Buffer.from("sk-abc123") }],
      });
      const input = Buffer.from("key \x1b[1msk-\x1b[mabc123 736b2d616263313233");
      const output = Buffer.from(scanner.scan(input).output).toString();
      expect(output).toBe("key \x1b[1m[SECRET:k] [SECRET:k]");
    } finally {
      vi.unstubAllGlobals();
    }
  });
});
