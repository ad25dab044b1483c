import type { Bits } from "./bits.ts";
import { survey } from "./survey.ts";
import { findEight, sweep } from "./sweep.ts";

/** Room behind a text: what is read in blocks reads beyond its end. */
const PADDING = 64;
/** Behind the text, for two blocks, there are spaces, by which nothing begins. */
const BLOCK = 16;
const SPACE = 0x20;
const FIRST_CAPACITY = 4096;

/** Places that {@link Text.sweep} found; good until the next sweep. */
export interface Hits {
  readonly list: Int32Array;
  readonly count: number;
}

/** A text to be searched, in memory that is aligned and can be read in words. */
export class Text {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array();
  words: Int32Array<ArrayBuffer> = new Int32Array();
  length = 0;
  #searched: Buffer = Buffer.alloc(0);
  #hits: Int32Array = new Int32Array();

  /** Makes room for `length` bytes; the text so far is kept. */
  reserve(length: number): void {
    if (length + PADDING <= this.bytes.length) return;
    const old = this.bytes.slice(0, this.length);
    let capacity = Math.max(this.bytes.length * 2, FIRST_CAPACITY);
    while (capacity < length + PADDING) capacity *= 2;
    this.bytes.fill(0);
    this.allocate(capacity);
    this.bytes.set(old);
    old.fill(0);
  }

  /** Takes two byte strings, one behind the other. */
  set(first: Uint8Array, second: Uint8Array): void {
    this.length = 0;
    this.reserve(first.length + second.length);
    if (first.length > 0) this.bytes.set(first, 0);
    this.bytes.set(second, first.length);
    this.length = first.length + second.length;
    this.close();
  }

  /** To be called when all bytes are there, before the text is searched. */
  close(): void {
    this.reserve(this.length);
    this.bytes.fill(SPACE, this.length, this.length + 2 * BLOCK);
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

  /** See {@link findEight}. */
  findEight(from: number, bits: Bits): number {
    return findEight(this, from, bits);
  }

  /** Where a byte, or ASCII text, comes first at or after `from`; the length of the text, or more, if it does not. */
  indexOf(sign: number | string, from: number): number {
    // Node's search is several times as fast as the one of typed arrays. It may look beyond the end.
    const at = this.#searched.indexOf(sign, from, "latin1");
    return at < 0 ? this.length : at;
  }

  clear(): void {
    this.bytes.fill(0);
    this.length = 0;
  }

  /** Takes memory of `capacity` bytes, a multiple of 16. */
  protected allocate(capacity: number): void {
    this.view(new ArrayBuffer(capacity), 0, capacity);
    this.#hits = new Int32Array(hitsFor(capacity));
  }

  protected view(buffer: ArrayBuffer, at: number, capacity: number): void {
    this.bytes = new Uint8Array(buffer, at, capacity);
    this.words = new Int32Array(buffer, at, capacity >> 2);
    this.#searched = Buffer.from(buffer, at, capacity);
  }
}

/** How many hits there can be: two for every 16 bytes in one table, four in the other. */
export const hitsFor = (capacity: number): number => (capacity / BLOCK) * 6;
