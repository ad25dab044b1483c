import type { Bits } from "./bits.ts";
import { survey } from "./survey.ts";
import { sweep } from "./sweep.ts";

/** Room behind a text: what is read in blocks reads beyond its end. */
const PADDING = 64;
/** Behind the text up to the next block there are spaces, by which nothing begins. */
const BLOCK = 16;
const SPACE = 0x20;

/** Places that {@link Text.sweep} found; good until the next sweep. */
export interface Hits {
  readonly list: Int32Array;
  readonly count: number;
}

/** A text to be searched, in memory that is aligned and can be read in words. */
export class Text {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(4096);
  words: Int32Array<ArrayBuffer> = new Int32Array(this.bytes.buffer);
  length = 0;
  #hits: Int32Array = new Int32Array(hitsFor(4096));

  /** Makes room for `length` bytes; the text so far is kept. */
  reserve(length: number): void {
    if (length + PADDING <= this.bytes.length) return;
    const old = this.bytes.slice(0, this.length);
    let capacity = this.bytes.length * 2;
    while (capacity < length + PADDING) capacity *= 2;
    this.allocate(capacity);
    this.bytes.set(old);
    old.fill(0);
  }

  /** Takes two byte strings, one behind the other. */
  set(first: Uint8Array, second: Uint8Array): void {
    const length = first.length + second.length;
    this.length = 0;
    this.reserve(length);
    if (first.length > 0) this.bytes.set(first, 0);
    this.bytes.set(second, first.length);
    this.bytes.fill(SPACE, length, length + BLOCK);
    this.length = length;
  }

  /** See {@link survey}. */
  survey(runBefore: number): number {
    return survey(this, runBefore);
  }

  /** See {@link sweep}. */
  sweep(from: number, to: number, eights: Bits, fours: Bits): Hits {
    const count = sweep(this, from, to, eights, fours, this.#hits);
    return { list: this.#hits, count };
  }

  /** Where `byte` comes first at or after `from`; the length of the text, or more, if it does not. */
  indexOf(byte: number, from: number): number {
    const at = this.bytes.indexOf(byte, from);
    return at < 0 ? this.length : at;
  }

  clear(): void {
    this.bytes.fill(0);
    this.length = 0;
  }

  /** Takes memory of `capacity` bytes, a multiple of 16. */
  protected allocate(capacity: number): void {
    this.bytes.fill(0);
    this.bytes = new Uint8Array(capacity);
    this.words = new Int32Array(this.bytes.buffer);
    this.#hits = new Int32Array(hitsFor(capacity));
  }
}

/** How many hits there can be: two for every 16 bytes in one table, four in the other. */
export const hitsFor = (capacity: number): number => (capacity / BLOCK) * 6;
