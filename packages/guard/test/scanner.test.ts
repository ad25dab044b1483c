import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { count, report, torture } from "../../../tooling/vitest/torture.ts";
import { createScanner, type Finding, type Scanner, unmaskedReason } from "../src/index.ts";
import { type NamedValue, occurrences, patternsOf, stretchesOf } from "./reference.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (output: Uint8Array) => new TextDecoder().decode(output);

const mask = async (secrets: Record<string, string>, input: string): Promise<string> => {
  const scanner = await createScanner({
    secrets: Object.entries(secrets).map(([name, value]) => ({ name, value: bytes(value) })),
  });
  return text(scanner.scan(bytes(input)).output);
};

const inChunks = (scanner: Scanner, chunks: readonly Uint8Array[]) => {
  const findings: Finding[] = [];
  const masker = scanner.createMasker({ onFinding: (finding) => findings.push(finding) });
  const output = chunks.flatMap((chunk) => masker.write(chunk));
  output.push(...masker.end());
  return { output: Buffer.concat(output), findings };
};

const expectAsReference = (scanner: Scanner, secrets: readonly NamedValue[], input: Uint8Array) => {
  const stretches = stretchesOf(input, patternsOf(secrets));
  const { output, findings } = scanner.scan(input);
  expect(findings.map(({ offset, length }) => [offset, offset + length])).toEqual(
    stretches.map(({ start, end }) => [start, end]),
  );
  const expected: Uint8Array[] = [];
  let done = 0;
  for (const [i, { offset, length, name }] of findings.entries()) {
    expect(stretches[i]!.names).toContain(name);
    expected.push(input.subarray(done, offset), bytes(`[SECRET:${name}]`));
    done = offset + length;
  }
  expected.push(input.subarray(done));
  expect(Buffer.from(output).equals(Buffer.concat(expected))).toBe(true);
  return { output, findings };
};

describe("masks", () => {
  it("the secret of the seed", async () => {
    const masked = await mask({ api_key: "sk-abc123" }, "Connected using key sk-abc123");
    expect(masked).toBe("Connected using key [SECRET:api_key]");
  });

  it("the longest of secrets that contain each other, and overlaps as one", async () => {
    const secrets = { a: "hunter2-long", b: "er2-lo", c: "long-tail99" };
    expect(await mask(secrets, "x hunter2-long y")).toBe("x [SECRET:a] y");
    expect(await mask(secrets, "x hunter2-long-tail99 y")).toBe("x [SECRET:a] y");
    expect(await mask(secrets, "x er2-lo y")).toBe("x [SECRET:b] y");
    expect(await mask(secrets, "er2-loer2-lo")).toBe("[SECRET:b][SECRET:b]");
  });

  it("UTF-16 of both byte orders where they overlap by one byte", async () => {
    const wide = `\0${[..."s3cr3t-value"].join("\0")}\0`;
    expect(await mask({ w: "s3cr3t-value" }, `<${wide}>`)).toBe("<[SECRET:w]>");
  });

  it("what escape sequences and soft line breaks hide", async () => {
    const secrets = { k: "sk-proj-abcdefghijkl" };
    for (const written of [
      "sk-\x1b[31mproj\x1b[0m-abc\x1b]8;;http://x\x07def\x1b]0;t\x1b\\ghi\x1b(Bjkl",
      "sk-proj-=\r\nabcdef=\nghijkl",
      [..."sk-proj-abcdefghijkl"].join("\x1b[38;2;1;2;3m"),
    ]) {
      expect(await mask(secrets, `a ${written} b`)).toBe("a [SECRET:k] b");
    }
    const value = "0123456789abcdefghijklmnopqrstuvwxyz".repeat(4);
    const wrapped = Buffer.from(value).toString("base64").replace(/.{76}/g, "$&\r\n");
    expect(await mask({ k: value }, `a ${wrapped} b`)).toMatch(/^a \[SECRET:k\].{0,3} b$/);
  });

  it("a name that shows a secret is left out of the mask", async () => {
    const secrets = { "db/hunter2-prod": "another-value", other: "hunter2-prod" };
    expect(await mask(secrets, "another-value hunter2-prod")).toBe("[***] [SECRET:other]");
    const tokenLike = { a: "[SECRET:b]", b: "bbbb-1234" };
    expect(await mask(tokenLike, "bbbb-1234 [SECRET:b]")).toBe("[***] [SECRET:a]");
  });

  it("nothing else: ordinary text comes back as the same object", async () => {
    const scanner = await createScanner({ secrets: [{ name: "k", value: bytes("sk-abc123") }] });
    const input = bytes("sk-abc12 sk-abc1 4 SECRET");
    expect(scanner.scan(input).output).toBe(input);
  });
});

describe("values that are not masked", () => {
  it("are listed with the reason", async () => {
    const scanner = await createScanner({
      secrets: [
        { name: "pin", value: bytes("12345") },
        { name: "word", value: bytes("ChangeMe\n") },
        { name: "line", value: bytes("--------") },
        { name: "key", value: bytes("sk-abc123") },
      ],
    });
    expect(scanner.unmasked).toEqual([
      { name: "pin", reason: "short" },
      { name: "word", reason: "common" },
      { name: "line", reason: "common" },
    ]);
    expect(scanner.secretCount).toBe(1);
    const input = bytes("12345 changeme --------");
    expect(scanner.scan(input).output).toBe(input);
  });
});

// Few different bytes, so that secrets share parts with each other and with the texts around them.
const alphabet = fc.constantFrom(..."abA=\x1b[m\n\r%0");
const value = fc
  .oneof(
    fc.string({ unit: alphabet, minLength: 6, maxLength: 20 }),
    fc.string({ unit: "grapheme", minLength: 6, maxLength: 12 }),
  )
  .map(bytes);
const anyBytes = fc.uint8Array({ minLength: 6, maxLength: 24 });
const secretsOf = (values: Uint8Array[]) =>
  values.map((each, i) => ({ name: `n${i}`, value: each }));
const secretSet = fc
  .array(
    fc.oneof(value, anyBytes).filter((each) => unmaskedReason(each) === undefined),
    { minLength: 1, maxLength: 5 },
  )
  .map(secretsOf);

/** Texts in which the secrets stand in many forms, whole and cut short, between bytes like their own. */
const textOf = (secrets: readonly NamedValue[]) => {
  const patterns = patternsOf(secrets).map((pattern) => pattern.bytes);
  const written = fc
    .tuple(fc.constantFrom(...patterns), fc.nat(30), fc.nat(30), fc.boolean())
    .map(([pattern, from, less, upper]) => {
      const part = pattern.subarray(
        from % 7 === 0 ? from : 0,
        pattern.length - (less % 5 === 0 ? less : 0),
      );
      return upper ? Buffer.from(part.toString("latin1").toUpperCase(), "latin1") : part;
    });
  const colour = fc
    .constantFrom("\x1b[m", "\x1b[31m", "=\n", "=\r\n", "\x1b]0;x\x07")
    .map(Buffer.from);
  const broken = fc
    .tuple(written, colour, fc.nat(40))
    .map(([part, code, at]) => Buffer.concat([part.subarray(0, at), code, part.subarray(at)]));
  const noise = fc.string({ unit: alphabet, maxLength: 8 }).map((each) => Buffer.from(each));
  const binary = fc.uint8Array({ maxLength: 8 });
  return fc
    .array(fc.oneof(written, broken, noise, binary), { maxLength: 6 })
    .map((parts) => new Uint8Array(Buffer.concat(parts)));
};
const scene = secretSet.chain((secrets) =>
  fc.record({ secrets: fc.constant(secrets), input: textOf(secrets) }),
);

describe("for random secrets and texts", () => {
  it("finds what the plain search finds, however the text is cut", {
    timeout: torture(120_000, 7_200_000),
  }, async () => {
    const outcomes = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(scene, async ({ secrets, input }) => {
        using scanner = await createScanner({ secrets });
        const whole = expectAsReference(scanner, secrets, input);
        const outcome =
          whole.findings.length > 0 ? "splits of masked texts" : "splits of clean texts";
        for (let at = 0; at <= input.length; at++) {
          const cut = inChunks(scanner, [input.subarray(0, at), input.subarray(at)]);
          expect(cut.output.equals(whole.output)).toBe(true);
          expect(cut.findings).toEqual(whole.findings);
          count(outcomes, outcome);
        }
        const single = inChunks(
          scanner,
          Array.from(input, (byte) => Uint8Array.of(byte)),
        );
        expect(single.output.equals(whole.output)).toBe(true);
        expectClean(single.output, secrets);
      }),
      { numRuns: torture(300, 20_000) },
    );
    report("scanner, every split position", outcomes);
  });
});

/** No form of a secret stands in what was given out, neither between the masks nor in them. */
const expectClean = (output: Uint8Array, secrets: readonly NamedValue[]) => {
  const masks = /\[SECRET:n\d\]|\[\*\*\*\]/g;
  const written = Buffer.from(output).toString("latin1");
  const patterns = patternsOf(secrets);
  // An ESC that goes with a value may have begun a sequence: the rest of the sequence is text then, as the README says.
  const find = secrets.some(({ value }) => value.includes(0x1b)) ? occurrences : stretchesOf;
  for (const piece of [...written.split(masks), ...(written.match(masks) ?? [])]) {
    expect(find(Buffer.from(piece, "latin1"), patterns)).toEqual([]);
  }
};
