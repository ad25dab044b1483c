import { BEGINNINGS_LOG, type Bits, hasTwice, includeTwice, noBits } from "./bits.ts";
import { hashGram } from "./grams.ts";
import { AS_IS, FOLD, type PatternStore } from "./pattern-store.ts";
import { PrefixTree } from "./prefix-tree.ts";
import type { Text } from "./text.ts";

const EIGHT = 8;
const FOUR = 4;

/** Knows how every pattern begins, and so what a stream must hold back: a tail that may become a pattern. */
export class Beginnings {
  readonly #patterns: PatternStore;
  readonly #exact: PrefixTree;
  readonly #folded: PrefixTree;
  /** Which hashes the first 4 and the first 8 bytes of patterns have: most tails are no beginning by these alone. */
  readonly #fours: Bits = noBits(BEGINNINGS_LOG);
  readonly #eights: Bits = noBits(BEGINNINGS_LOG);
  /** How many patterns have each length: the longest one bounds what is held back. */
  readonly #lengths = new Map<number, number>();
  #longest = 0;

  constructor(patterns: PatternStore) {
    this.#patterns = patterns;
    this.#exact = new PrefixTree(patterns, AS_IS);
    this.#folded = new PrefixTree(patterns, FOLD);
  }

  /** The length of the longest pattern. */
  get longest(): number {
    return this.#longest;
  }

  find(bytes: Uint8Array, caseCounts: boolean): number | undefined {
    return (caseCounts ? this.#exact : this.#folded).find(bytes);
  }

  add(id: number): void {
    this.#treeOf(id).add(id);
    const bytes = this.#patterns.bytes(id);
    includeTwice(this.#fours, hashGram(FOUR, bytes, 0));
    if (bytes.length >= EIGHT) includeTwice(this.#eights, hashGram(EIGHT, bytes, 0));
    this.#lengths.set(bytes.length, (this.#lengths.get(bytes.length) ?? 0) + 1);
    this.#longest = Math.max(this.#longest, bytes.length);
  }

  remove(id: number): void {
    this.#treeOf(id).remove(id);
    const length = this.#patterns.length(id);
    const others = this.#lengths.get(length)! - 1;
    if (others > 0) this.#lengths.set(length, others);
    else {
      this.#lengths.delete(length);
      if (length === this.#longest) this.#longest = Math.max(0, ...this.#lengths.keys());
    }
  }

  /** The first place from which the rest of the text is the beginning of a longer pattern; its length if there is none. */
  holdPoint(text: Text): number {
    const { bytes, length } = text;
    let at = Math.max(0, length - this.#longest + 1);
    // Most of the tail is ruled out by its first 8 bytes.
    for (; at + EIGHT <= length; at++) {
      at = text.findEight(at, this.#eights);
      if (at + EIGHT <= length && this.#begins(bytes, at, length)) return at;
    }
    for (at = Math.max(0, length - EIGHT + 1, length - this.#longest + 1); at < length; at++) {
      const isKnown = at + FOUR > length || hasTwice(this.#fours, hashGram(FOUR, bytes, at));
      if (isKnown && this.#begins(bytes, at, length)) return at;
    }
    return length;
  }

  #begins(bytes: Uint8Array, at: number, end: number): boolean {
    return this.#exact.continues(bytes, at, end) || this.#folded.continues(bytes, at, end);
  }

  #treeOf(id: number): PrefixTree {
    return this.#patterns.caseCounts(id) ? this.#exact : this.#folded;
  }
}
