import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createScanner, type SecretValue } from "../src/index.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const masked = (output: Uint8Array) => new TextDecoder().decode(output);
const joined = (pieces: readonly Uint8Array[]) => masked(Buffer.concat(pieces));

describe("changes of the secrets", () => {
  it("leave a scanner as one that was built with what is left", { timeout: 60_000 }, async () => {
    // Few names and values, so that values are shared, replaced, deleted and come back.
    const name = fc.constantFrom("a", "b", "c", "d", "e");
    const value = fc.constantFrom(
      ...[
        "secret-one-1",
        "secret-one-12",
        "Secret-One-1",
        "xsecret-one",
        "short",
        "a%20b&c\\d\0e",
        "line one1\nline two2",
      ],
    );
    const change = fc.oneof(
      fc.record({ set: fc.array(fc.tuple(name, value), { minLength: 1, maxLength: 4 }) }),
      fc.record({ delete: fc.array(name, { minLength: 1, maxLength: 3 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 12 }), async (changes) => {
        using scanner = await createScanner();
        const left = new Map<string, string>();
        for (const each of changes) {
          if ("set" in each) {
            await scanner.set(each.set.map(([name, value]) => ({ name, value: bytes(value) })));
            for (const [name, value] of each.set) left.set(name, value);
          } else {
            await scanner.delete(each.delete);
            for (const name of each.delete) left.delete(name);
          }
        }
        const values = [...left].map(([name, value]) => ({ name, value: bytes(value) }));
        using fresh = await createScanner({ secrets: values });
        const text = bytes(
          "secret-one-1 secret-one-12 xsecret-one-123 short a%20b&c\\d\0e a%2520b%26c%5Cd%00e line one1 line two2",
        );
        const now = scanner.scan(text);
        const then = fresh.scan(text);
        expect(now.findings.map(({ offset, length }) => [offset, length])).toEqual(
          then.findings.map(({ offset, length }) => [offset, length]),
        );
        for (const { name, offset } of now.findings) {
          expect(left.has(name), `${name} at ${offset}`).toBe(true);
        }
        expect(scanner.longestForm).toBe(fresh.longestForm);
        expect(scanner.secretCount).toBe(fresh.secretCount);
        expect(new Set(scanner.unmasked.map((each) => each.name))).toEqual(
          new Set(fresh.unmasked.map((each) => each.name)),
        );
      }),
      { numRuns: 150 },
    );
  });

  it("reach open streams, and what these hold back", async () => {
    using scanner = await createScanner({ secrets: [{ name: "a", value: bytes("secret-one") }] });
    const masker = scanner.createMasker();
    expect(joined(masker.write(bytes("1 secret-")))).toBe("1 ");
    await scanner.set([{ name: "b", value: bytes("secret-two") }]);
    await scanner.delete(["a"]);
    expect(joined(masker.write(bytes("two secret-one secret-")))).toBe("[SECRET:b] secret-one ");
    await scanner.delete(["b"]);
    expect(joined(masker.write(bytes("two")))).toBe("secret-two");
    expect(joined(masker.end())).toBe("");
  });

  it("run one after another, and take a copy of the value", async () => {
    using scanner = await createScanner();
    const value = bytes("first-value");
    const all = [
      scanner.set([{ name: "a", value }]),
      scanner.set([{ name: "a", value: bytes("next-value") }]),
    ];
    await Promise.all(all);
    expect(masked(scanner.scan(bytes("first-value next-value")).output)).toBe(
      "first-value [SECRET:a]",
    );
    await scanner.set([{ name: "v", value }]);
    value.fill(0);
    expect(masked(scanner.scan(bytes("first-value")).output)).toBe("[SECRET:v]");
  });

  it("stop at an argument of the wrong kind, and at an abort", async () => {
    const good = { name: "a", value: bytes("first-value") };
    for (const bad of [
      { name: "a]b", value: bytes("x") },
      { name: "a", value: "text" },
    ]) {
      const secrets = [good, bad as SecretValue];
      await expect(createScanner({ secrets })).rejects.toMatchObject({
        code: "ERR_INVALID_ARGUMENT",
      });
    }
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(createScanner({ secrets: [good], signal })).rejects.toThrow("enough");
  });

  it("go on while others work: no step keeps the event loop for long", async () => {
    // One huge value; a step is a piece of it.
    const value = randomBytes(100_000);
    let turns = 0;
    let timer = setImmediate(function turn() {
      turns++;
      timer = setImmediate(turn);
    });
    using scanner = await createScanner({ secrets: [{ name: "big", value }] });
    clearImmediate(timer);
    expect(turns).toBeGreaterThan(5);
    expect(masked(scanner.scan(value).output) === "[SECRET:big]").toBe(true);
  });
});

describe("a closed scanner", () => {
  it("refuses everything, also in streams that are open", async () => {
    const scanner = await createScanner({ secrets: [{ name: "a", value: bytes("first-value") }] });
    const masker = scanner.createMasker();
    masker.write(bytes("first-"));
    scanner.close();
    scanner.close();
    const closed = expect.objectContaining({ code: "ERR_CLOSED" });
    expect(() => scanner.scan(bytes("x"))).toThrow(closed);
    expect(() => masker.write(bytes("x"))).toThrow(closed);
    expect(() => masker.end()).toThrow(closed);
    expect(masker.heldBytes).toBe(0);
    await expect(scanner.set([])).rejects.toEqual(closed);
    await expect(scanner.delete([])).rejects.toEqual(closed);
  });
});
