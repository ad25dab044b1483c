import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createScanner, type Scanner } from "../src/index.ts";
import { occurrences, patternsOf } from "./reference.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const joined = (pieces: readonly Uint8Array[]) => Buffer.concat(pieces).toString();

const secrets = [
  { name: "a", value: bytes("sk-live-abcdef") },
  { name: "b", value: bytes("live-ab") },
  { name: "c", value: bytes("lsof-password") },
];
let scanner: Scanner;
beforeAll(async () => {
  scanner = await createScanner({ secrets });
});
afterAll(() => scanner.close());

describe("at a terminal", () => {
  it("the echo of a key is shown at once, although a secret may begin with it", () => {
    const masker = scanner.createTerminalMasker();
    let seen = "";
    for (const key of "lsof") {
      masker.typed(bytes(key));
      seen += joined(masker.write(bytes(key)));
    }
    expect(seen).toBe("lsof");
    expect(masker.heldBytes).toBe(4);
    expect(joined(masker.write(bytes("\r\n")))).toBe("\r\n");
  });

  it("so is a coloured echo", () => {
    const masker = scanner.createTerminalMasker();
    masker.typed(bytes("l"));
    expect(joined(masker.write(bytes("\x1b[32ml\x1b[39m")))).toBe("\x1b[32ml\x1b[39m");
    masker.typed(bytes("s"));
    expect(joined(masker.write(bytes("\b\x1b[1;32mls")))).toBe("\b\x1b[1;32mls");
  });

  it("what nobody typed in this line or the last is held", () => {
    const masker = scanner.createTerminalMasker();
    masker.typed(bytes("l"));
    expect(joined(masker.write(bytes("l")))).toBe("l");
    expect(joined(masker.write(bytes("s")))).toBe("");
    masker.typed(bytes("o"));
    // What is held is "so", and only "o" was typed.
    expect(joined(masker.write(bytes("o")))).toBe("");
    expect(joined(masker.write(bytes("!")))).toBe("so!");
    masker.typed(bytes("\rx\r"));
    expect(joined(masker.write(bytes("\r\nl")))).toBe("\r\n");
  });

  it("a secret that is typed is masked from where it is whole", () => {
    const masker = scanner.createTerminalMasker();
    let seen = "";
    for (const key of "sk-live-abcdef!") {
      masker.typed(bytes(key));
      seen += joined(masker.write(bytes(key)));
    }
    expect(seen).toBe("sk-live-a[SECRET:a]!");
  });

  it("a few characters before a movement of the cursor are shown, with it", () => {
    const masker = scanner.createTerminalMasker();
    expect(joined(masker.write(bytes("All l\x1b[1;1H\x1b[?25h")))).toBe("All l\x1b[1;1H\x1b[?25h");
    expect(joined(masker.write(bytes("\x1b[5;3Hsk-liv\x1b[1;1H")))).toBe("\x1b[5;3H");
    expect(joined(masker.write(bytes("\x1b[m!")))).toBe("sk-liv\x1b[1;1H\x1b[m!");
  });

  it("a secret drawn one character at a time is masked but for three of them", () => {
    const masker = scanner.createTerminalMasker();
    let seen = "";
    for (const [i, char] of [..."sk-live-abcdef"].entries()) {
      seen += joined(masker.write(bytes(`${char}\x1b[1;${i + 2}H`)));
    }
    seen += joined(masker.write(bytes("!")));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal does not show
    expect(seen.replaceAll(/\x1b\[[\d;]*H/g, "")).toBe("sk-[SECRET:a]!");
  });

  it("shows no form and nothing but echoes early, whatever is typed and however it is cut", () => {
    const patterns = patternsOf(secrets);
    const part = fc
      .tuple(fc.constantFrom(...patterns.map((each) => each.bytes)), fc.nat(20), fc.nat(40))
      .map(([whole, from, to]) => whole.subarray(from % 5 === 0 ? from : 0, to));
    const key = fc.constantFrom(..."lskivea-0").map((each) => Buffer.from(each));
    const move = fc.constantFrom("\x1b[1;1H", "\x1b[m", "\b").map((each) => Buffer.from(each));
    const step = fc.record({
      typed: fc.oneof(key, part, fc.constant(Buffer.alloc(0))),
      written: fc.oneof(key, part, move, fc.constant(undefined)),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 14 }), (steps) => {
        const strict = scanner.createMasker();
        const masker = scanner.createTerminalMasker();
        const expected: Uint8Array[] = [];
        const seen: Uint8Array[] = [];
        for (const { typed, written } of steps) {
          masker.typed(typed);
          // Nothing written: the echo of what was typed.
          expected.push(...strict.write(written ?? typed));
          seen.push(...masker.write(written ?? typed));
        }
        expected.push(...strict.end());
        seen.push(...masker.end());
        const output = Buffer.concat(seen).toString("latin1");
        const masks = /\[SECRET:[abc]\]/g;
        for (const piece of output.split(masks)) {
          expect(occurrences(Buffer.from(piece, "latin1"), patterns)).toEqual([]);
        }
        // The same masks in the same order, and no byte less between them.
        const wanted = Buffer.concat(expected).toString("latin1");
        expect(output.match(masks)).toEqual(wanted.match(masks));
        const pieces = output.split(masks);
        for (const [i, piece] of wanted.split(masks).entries()) {
          expect(pieces[i]!.startsWith(piece)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
