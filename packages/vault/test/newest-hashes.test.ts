import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createNewestHashes } from "../src/audit/newest-hashes.ts";

const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex");
const name = fc.integer({ min: 0, max: 60 }).map((i) => `secrets n/${i}`);
const change = fc.record({
  name,
  hash: fc.option(fc.constantFrom(...["a", "b", "c"].map(hashOf)), { nil: null, freq: 2 }),
  isSeen: fc.boolean(),
});

test("knows what a map knows, however often it grows, and whatever was removed", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 300 }), (changes) => {
      const newest = createNewestHashes(3);
      const model = new Map<string, { hash: string; seq: number; isSeen: boolean }>();
      changes.forEach(({ name, hash, isSeen }, i) => {
        newest.set(name, hash, i + 1);
        if (hash === null) model.delete(name);
        else model.set(name, { hash, seq: i + 1, isSeen: false });
        if (isSeen) {
          const known = model.get(name);
          expect(newest.see(name, hashOf("a"))).toBe(known?.hash === hashOf("a"));
          if (known?.hash === hashOf("a")) known.isSeen = true;
        }
      });
      for (let i = 0; i <= 61; i += 1) {
        const each = `secrets n/${i}`;
        const known = model.get(each);
        expect(newest.seqOf(each)).toBe(known?.seq);
        for (const letter of ["a", "b", "c"]) {
          expect(newest.has(each, hashOf(letter))).toBe(known?.hash === hashOf(letter));
        }
        expect(newest.isUnseen(each)).toBe(known !== undefined && !known.isSeen);
      }
      const unseen = [...model.values()].filter(({ isSeen }) => !isSeen);
      expect(newest.unseen()).toBe(unseen.length);
      expect(newest.unseenSeqs()).toEqual(unseen.map(({ seq }) => seq).sort((a, b) => a - b));
    }),
    { numRuns: 1000 },
  );
});

test("takes a hash that is none for the hash of no row", () => {
  const newest = createNewestHashes();
  const known = hashOf("a");
  for (const wrong of [`${known}00`, known.slice(2), known.toUpperCase(), "", 7, {}]) {
    newest.set("jobs x", wrong as string, 2 ** 53 - 1);
    expect(newest.has("jobs x", known)).toBe(false);
    expect(newest.seqOf("jobs x")).toBe(2 ** 53 - 1);
  }
  newest.set("jobs x", known, 1);
  expect(newest.has("jobs x", null)).toBe(false);
  expect(newest.has("jobs x", known)).toBe(true);
});
