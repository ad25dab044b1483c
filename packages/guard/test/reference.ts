import { eachForm } from "../src/scanner/forms.ts";
import { partsOf } from "../src/scanner/parts.ts";
import { readThrough, SeenThrough, START } from "../src/scanner/see-through.ts";
import { Text } from "../src/scanner/text.ts";

// What the scanner must do, in the plainest way: every pattern is tried at every place of the whole text.

export interface NamedValue {
  readonly name: string;
  readonly value: Uint8Array;
}

export interface Pattern {
  readonly name: string;
  readonly bytes: Buffer;
  readonly caseCounts: boolean;
}

export const patternsOf = (secrets: readonly NamedValue[]): Pattern[] => {
  const patterns = new Map<string, Pattern>();
  for (const { name, value } of secrets) {
    for (const part of partsOf(value)) {
      eachForm(part, ({ bytes, caseCounts }) => {
        const copy = Buffer.from(bytes);
        const key = `${caseCounts} ${(caseCounts ? copy : lower(copy)).toString("hex")}`;
        if (!patterns.has(key)) patterns.set(key, { name, bytes: copy, caseCounts });
      });
    }
  }
  return [...patterns.values()];
};

export const lower = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte)));

interface Occurrence {
  readonly start: number;
  readonly end: number;
  readonly name: string;
}

export const occurrences = (text: Uint8Array, patterns: readonly Pattern[]): Occurrence[] => {
  const exact = Buffer.from(text);
  const folded = lower(text);
  const found: Occurrence[] = [];
  for (const { name, bytes, caseCounts } of patterns) {
    const [where, what] = caseCounts ? [exact, bytes] : [folded, lower(bytes)];
    for (let at = where.indexOf(what); at >= 0; at = where.indexOf(what, at + 1)) {
      found.push({ start: at, end: at + what.length, name });
    }
  }
  return found;
};

const seenOccurrences = (input: Uint8Array, patterns: readonly Pattern[]): Occurrence[] => {
  const text = new Text();
  text.set(input, new Uint8Array());
  const seen = new SeenThrough(new Text());
  readThrough(text, ~0, text.length, START, seen);
  return occurrences(seen.text.bytes.subarray(0, seen.text.length), patterns).map(
    ({ start, end, name }) => ({
      name,
      start: seen.position(start),
      end: seen.position(end - 1) + 1,
    }),
  );
};

/** Where masks must stand and which names they may have: the longest match's, any of them when several are longest. */
export const stretchesOf = (text: Uint8Array, patterns: readonly Pattern[]) => {
  const found = [...occurrences(text, patterns), ...seenOccurrences(text, patterns)];
  found.sort((a, b) => a.start - b.start);
  const stretches: { start: number; end: number; longest: number; names: Set<string> }[] = [];
  for (const { start, end, name } of found) {
    const open = stretches.at(-1);
    if (open === undefined || start >= open.end) {
      stretches.push({ start, end, longest: end - start, names: new Set([name]) });
      continue;
    }
    open.end = Math.max(open.end, end);
    if (end - start > open.longest) {
      open.longest = end - start;
      open.names.clear();
    }
    if (end - start === open.longest) open.names.add(name);
  }
  return stretches;
};
