import { type Bits, has, include, MAX_BITS_LOG, noBits } from "./bits.ts";
import { type GramBytes, hashGram, hashWords } from "./grams.ts";
import type { Matches } from "./matches.ts";
import type { PatternStore } from "./pattern-store.ts";
import type { Text } from "./text.ts";

const MAX_HEADS_LOG = 20;
/**
 * Bits of the bitmap for each entry, as powers of two: 64 for as long as it fits into the nearer cache, 16 beyond. A wrong
 * gram passes by chance once in as many times, and then costs a look into the table.
 */
const SPARSE_LOG = 6;
const DENSE_LOG = 4;
const NEAR_BITS_LOG = 22;
/** How many windows of a pattern are compared to find its rarest. */
const MAX_WINDOWS = 12;
const SLOTS_PER_SLICE = 256;
const NO_ENTRY = -1;

interface Lookup {
  readonly headsLog: number;
  /** The newest entry of each bucket. */
  readonly heads: Int32Array;
  /** The next entry of the same bucket. */
  readonly next: Int32Array;
  /** Eight more bits of the hash, to pass over most entries without a look at their pattern. */
  readonly tags: Uint8Array;
  /** Has the hash of every entry. */
  readonly bits: Bits;
}

/**
 * Finds patterns by grams. The text is read on a grid only: one gram in each step. Of each pattern a window of
 * gram + step − 1 bytes is entered, with all grams that begin in it: however the pattern lies on the grid, exactly one of them
 * lies on a point of it.
 */
export class GramTable {
  readonly gram: GramBytes;
  readonly #step: number;
  readonly #patterns: PatternStore;
  #slots: Uint32Array = new Uint32Array(16);
  #windows: Uint16Array = new Uint16Array(16);
  readonly #free: number[] = [];
  #count = 0;
  #lookup: Lookup;

  constructor(patterns: PatternStore, gram: GramBytes) {
    this.#patterns = patterns;
    this.gram = gram;
    this.#step = stepOf(gram);
    this.#lookup = emptyLookup(6, this.#slots.length * this.#step);
  }

  get isEmpty(): boolean {
    return this.#count === this.#free.length;
  }

  /** Whether it must `grow` before the next pattern. */
  get isFull(): boolean {
    return this.#free.length === 0 && this.#count === this.#slots.length;
  }

  /** Adds a pattern, of which `bytes` are the bytes. Returns where it was entered. */
  add(id: number, bytes: Uint8Array): number {
    const slot = this.#free.pop() ?? this.#count++;
    this.#slots[slot] = id;
    this.#windows[slot] = this.#rarestWindow(bytes);
    this.#enter(this.#lookup, slot, bytes);
    return slot;
  }

  remove(slot: number): void {
    const { heads, next, headsLog } = this.#lookup;
    const bytes = this.#patterns.bytes(this.#slots[slot]!);
    for (let j = 0; j < this.#step; j++) {
      const entry = slot * this.#step + j;
      const bucket = hashGram(this.gram, bytes, this.#windows[slot]! + j) >>> (32 - headsLog);
      if (heads[bucket] === entry) heads[bucket] = next[entry]!;
      else {
        let before = heads[bucket]!;
        while (next[before] !== entry) before = next[before]!;
        next[before] = next[entry]!;
      }
    }
    // Its bits stay set: others may have the same. They cost a look and go when the table grows.
    this.#free.push(slot);
  }

  /** What a sweep over the text looks for. */
  get bits(): Bits {
    return this.#lookup.bits;
  }

  /** Adds to `found` every pattern that lies whole in `text` between `from`, a multiple of 8, and `to`. */
  find(text: Text, from: number, to: number, found: Matches): void {
    const { bits } = this.#lookup;
    const { words } = text;
    const { gram } = this;
    const stride = this.#step >> 2;
    const last = (to - gram) >> 2;
    for (let i = from >> 2; i <= last; i += stride) {
      const hash = hashWords(gram, words, i);
      if (has(bits, hash)) this.verify(text, i << 2, hash, from, to, found);
    }
  }

  /** The patterns whose gram stands at `at`. */
  verify(text: Text, at: number, hash: number, from: number, to: number, found: Matches): void {
    const { heads, next, tags, headsLog } = this.#lookup;
    const tag = tagOf(hash, headsLog);
    for (let entry = heads[hash >>> (32 - headsLog)]!; entry !== NO_ENTRY; entry = next[entry]!) {
      if (tags[entry] !== tag) continue;
      const slot = Math.floor(entry / this.#step);
      const id = this.#slots[slot]!;
      const start = at - this.#windows[slot]! - (entry % this.#step);
      const end = start + this.#patterns.length(id);
      if (start < from || end > to) continue;
      if (this.#patterns.matches(id, text.bytes, start, end - start)) found.add(start, end, id);
    }
  }

  /**
   * Where the window begins whose grams are least known already. Keys that begin alike are thus told apart by where they
   * differ. The last one of several: beginnings are what keys share, and what texts about keys show.
   */
  #rarestWindow(bytes: Uint8Array): number {
    const { bits } = this.#lookup;
    const last = bytes.length - windowOf(this.gram);
    const stride = Math.max(1, Math.ceil(last / MAX_WINDOWS));
    let best = last;
    let least = this.#step + 1;
    for (let at = last; at >= 0 && least > 0; at -= stride) {
      let known = 0;
      for (let j = 0; j < this.#step && known < least; j++) {
        if (has(bits, hashGram(this.gram, bytes, at + j))) known++;
      }
      if (known < least) {
        least = known;
        best = at;
      }
    }
    return best;
  }

  #enter(lookup: Lookup, slot: number, bytes: Uint8Array): void {
    const { heads, next, tags, headsLog, bits } = lookup;
    const window = this.#windows[slot]!;
    for (let j = 0; j < this.#step; j++) {
      const hash = hashGram(this.gram, bytes, window + j);
      const entry = slot * this.#step + j;
      const bucket = hash >>> (32 - headsLog);
      next[entry] = heads[bucket]!;
      heads[bucket] = entry;
      tags[entry] = tagOf(hash, headsLog);
      include(bits, hash);
    }
  }

  /**
   * Doubles the room of a full table, in slices. Searches between them find what was there before: the old lookup serves
   * until the new one is whole.
   */
  *grow(): Generator<undefined, void> {
    const size = this.#slots.length * 2;
    const headsLog = Math.min(MAX_HEADS_LOG, Math.ceil(Math.log2(size * this.#step)));
    const lookup = emptyLookup(headsLog, size * this.#step);
    for (let slot = 0; slot < this.#count; slot++) {
      this.#enter(lookup, slot, this.#patterns.bytes(this.#slots[slot]!));
      if (slot % SLOTS_PER_SLICE === 0) yield;
    }
    const slots = new Uint32Array(size);
    const windows = new Uint16Array(size);
    slots.set(this.#slots);
    windows.set(this.#windows);
    this.#slots = slots;
    this.#windows = windows;
    this.#lookup = lookup;
  }
}

const stepOf = (gram: GramBytes): number => (gram < 8 ? 4 : 8);

/** The length of the shortest pattern that a table of this gram takes. */
export const windowOf = (gram: GramBytes): number => gram + stepOf(gram) - 1;

const tagOf = (hash: number, headsLog: number): number => (hash >>> (24 - headsLog)) & 0xff;

const emptyLookup = (headsLog: number, entries: number): Lookup => {
  return {
    headsLog,
    heads: new Int32Array(2 ** headsLog).fill(NO_ENTRY),
    next: new Int32Array(entries),
    tags: new Uint8Array(entries),
    bits: noBits(bitsLogFor(headsLog)),
  };
};

const bitsLogFor = (headsLog: number): number =>
  Math.min(
    MAX_BITS_LOG,
    Math.max(headsLog + DENSE_LOG, Math.min(headsLog + SPARSE_LOG, NEAR_BITS_LOG)),
  );
