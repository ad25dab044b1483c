import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { setTimeout } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createScanner, type Finding, type Scanner } from "../src/index.ts";
import { lower, patternsOf } from "./reference.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const masked = (output: Uint8Array) => new TextDecoder().decode(output);
const joined = (pieces: readonly Uint8Array[]) => masked(Buffer.concat(pieces));

const secrets = [
  { name: "a", value: bytes("sk-live-abcdef") },
  { name: "b", value: bytes("sk-live-abcxyz-and-more") },
  { name: "c", value: bytes("def-overlap") },
];
let scanner: Scanner;
beforeAll(async () => {
  scanner = await createScanner({ secrets });
});
afterAll(() => scanner.close());

describe("a masker", () => {
  it("holds back just the longest end of its input that may become a secret", async () => {
    const patterns = patternsOf(secrets);
    const holdOf = (input: Uint8Array): number => {
      for (let at = 0; at < input.length; at++) {
        const tail = Buffer.from(input.subarray(at));
        const begins = patterns.some(({ bytes: pattern, caseCounts }) => {
          if (pattern.length <= tail.length) return false;
          const start = pattern.subarray(0, tail.length);
          return caseCounts ? tail.equals(start) : lower(tail).equals(lower(start));
        });
        if (begins) return input.length - at;
      }
      return 0;
    };
    const part = fc.tuple(fc.constantFrom(...patterns.map((each) => each.bytes)), fc.nat(60));
    const input = fc
      .array(
        fc.oneof(
          part.map(([whole, to]) => whole.subarray(0, to)),
          fc.uint8Array({ maxLength: 4 }),
        ),
        { maxLength: 3 },
      )
      .map((parts) => new Uint8Array(Buffer.concat(parts)))
      // What is seen through is held back in addition; the property of all splits covers it.
      .filter((each) => !each.includes(0x1b) && !each.includes(0x3d));
    fc.assert(
      fc.property(input, (each) => {
        const masker = scanner.createMasker();
        masker.write(each);
        expect(masker.heldBytes).toBe(holdOf(each));
        expect(masker.heldBytes).toBeLessThan(scanner.longestForm);
      }),
      { numRuns: 1000 },
    );
  });

  it("does not give out a part of a secret however long it waits", async () => {
    const masker = scanner.createMasker();
    expect(joined(masker.write(bytes("key: sk-live-abc")))).toBe("key: ");
    await setTimeout(300);
    expect(masker.heldBytes).toBe(11);
    expect(joined(masker.write(bytes("def!")))).toBe("[SECRET:a]!");
    expect(joined(masker.write(bytes("sk-live-abc")))).toBe("");
    expect(joined(masker.end())).toBe("sk-live-abc");
    expect(() => masker.write(bytes("x"))).toThrow(expect.objectContaining({ code: "ERR_CLOSED" }));
  });

  it("gives out at once what cannot be a secret, prompts and half lines too", () => {
    const masker = scanner.createMasker();
    for (const text of ["$ ", "Password: ", "[y/N] ", "\x1b[31m", "\r 50 of 100", "sk-live-ab "]) {
      expect(joined(masker.write(bytes(text)))).toBe(text);
    }
  });

  it("holds back nothing of a run of secrets that overlap without end", async () => {
    using periodic = await createScanner({ secrets: [{ name: "p", value: bytes("abcabcab") }] });
    const findings: Finding[] = [];
    const masker = periodic.createMasker({ onFinding: (finding) => findings.push(finding) });
    for (let i = 0; i < 10_000; i++) {
      expect(masker.write(bytes("abcabcabc"))).toEqual([]);
      expect(masker.heldBytes).toBeLessThan(8);
    }
    expect(joined(masker.write(bytes("!")))).toBe("[SECRET:p]c!");
    expect(findings).toEqual([{ name: "p", form: "raw", offset: 0, length: 89_999 }]);
  });

  it("bounds what escape sequences make it hold", () => {
    const masker = scanner.createMasker();
    masker.write(bytes("sk-live-abc"));
    for (let i = 0; i < 200; i++) masker.write(bytes("\x1b[31;1m"));
    expect(masker.heldBytes).toBe(0);
    expect(joined(masker.write(bytes("def\x1b]0;never ended")))).toBe("");
    masker.write(bytes("-".repeat(256)));
    expect(masker.heldBytes).toBe(0);
  });

  it("tells what it found, with its place in the whole stream", () => {
    const findings: Finding[] = [];
    const masker = scanner.createMasker({ onFinding: (finding) => findings.push(finding) });
    for (const text of ["0123", "sk-live-", "abcdef-overlap 736b2d6c6976652d616263", "646566"]) {
      masker.write(bytes(text));
    }
    masker.end();
    expect(findings).toEqual([
      { name: "a", form: "raw", offset: 4, length: 22 },
      { name: "a", form: "hex", offset: 27, length: 28 },
    ]);
  });

  it("may be used by the listener of another", () => {
    const nested: string[] = [];
    const masker = scanner.createMasker({
      onFinding: () => nested.push(masked(scanner.scan(bytes("n sk-live-abcdef")).output)),
    });
    const pieces = masker.write(bytes("1 sk-live-abcdef 2 sk-live-abcdef 3 sk-live"));
    expect(joined([...pieces, ...masker.end()])).toBe("1 [SECRET:a] 2 [SECRET:a] 3 sk-live");
    expect(nested).toEqual(["n [SECRET:a]", "n [SECRET:a]"]);
  });

  it("refuses a chunk that is no bytes", () => {
    const invalid = expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" });
    expect(() => scanner.createMasker().write("text" as unknown as Uint8Array)).toThrow(invalid);
  });

  it("sees through escape sequences in a first chunk of any size", async () => {
    const secret = "sk-proj-Zm9v-7f3a91c2e5";
    const cut = `${secret.slice(0, 9)}\u001b[1m${secret.slice(9)}`;
    for (const size of [60_000, 65_536, 70_000, 1_000_000]) {
      for (const text of [
        `${"x".repeat(size)} ${cut} ${"y".repeat(size)} ${cut}\n`,
        `${"\u001b[1m0123456789".repeat(size / 10)}${cut}\n`,
      ]) {
        // Anew each time: a scanner that has seen a large text has room for the next one.
        using fresh = await createScanner({
          secrets: [{ name: "a", value: new TextEncoder().encode(secret) }],
        });
        const shown = new TextDecoder().decode(fresh.scan(new TextEncoder().encode(text)).output);
        expect(shown).toBe(text.replaceAll(cut, "[SECRET:a]"));
      }
    }
  });

  it("works through chunks larger than a slice of its work", () => {
    const filler = Buffer.alloc(100_000, "no secret here, ");
    const input = Buffer.concat([filler, bytes("sk-live-abcdef"), filler, bytes("sk-live-abcdef")]);
    const { output, findings } = scanner.scan(input);
    expect(findings.map((each) => each.offset)).toEqual([100_000, 200_014]);
    expect(masked(output)).toBe(input.toString().replaceAll("sk-live-abcdef", "[SECRET:a]"));
    expect(output.constructor).toBe(Uint8Array);
  });
});

describe("streams", () => {
  const chunks = ["say sk-li", "ve-abcd", "ef and c2st", "bGl2ZS1hYmNkZWY= and sk-live"].map(bytes);
  const expected = "say [SECRET:a] and [SECRET:a]Y= and sk-live";

  it("of the web", async () => {
    const source = ReadableStream.from(chunks) as ReadableStream<Uint8Array>;
    const stream = source.pipeThrough(scanner.createTransformStream());
    expect(masked(await buffer(stream))).toBe(expected);
  });

  it("of Node", async () => {
    const output = await buffer(Readable.from(chunks).pipe(scanner.createNodeTransform()));
    expect(output.toString()).toBe(expected);
  });

  it("pass errors on", async () => {
    const thrown = new Error("no room for findings");
    const options = {
      onFinding: () => {
        throw thrown;
      },
    };
    const read = pipeline(Readable.from(chunks), scanner.createNodeTransform(options), buffer);
    await expect(read).rejects.toBe(thrown);
    const source = ReadableStream.from(chunks) as ReadableStream<Uint8Array>;
    const stream = source.pipeThrough(scanner.createTransformStream(options));
    await expect(buffer(stream)).rejects.toBe(thrown);
  });
});
