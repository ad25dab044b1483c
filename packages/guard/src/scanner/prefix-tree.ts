import type { PatternStore } from "./pattern-store.ts";

const NONE = 0x7fffffff;

/**
 * A crit-bit tree (Bernstein) over patterns: finds an equal pattern, and tells whether a text is the beginning of one, by
 * one walk and one comparison however many patterns there are.
 *
 * A node names the first bit by which the patterns below it differ. Beyond its end a pattern has the symbol 0, and every
 * byte has a ninth bit set, so that a pattern may be the beginning of another.
 */
export class PrefixTree {
  readonly #patterns: PatternStore;
  readonly #fold: Uint8Array;
  /** A child is a node, or the complement of a pattern's id. */
  #zero: Int32Array = new Int32Array(64);
  #one: Int32Array = new Int32Array(64);
  #index: Uint16Array = new Uint16Array(64);
  #bit: Uint16Array = new Uint16Array(64);
  readonly #free: number[] = [];
  #count = 0;
  #root = NONE;

  /** @param fold - What is done to a byte of a text before it is compared. */
  constructor(patterns: PatternStore, fold: Uint8Array) {
    this.#patterns = patterns;
    this.#fold = fold;
  }

  /** The pattern with these bytes, or `undefined`. */
  find(bytes: Uint8Array): number | undefined {
    if (this.#root === NONE) return undefined;
    const id = this.#nearest(bytes);
    const same =
      this.#patterns.length(id) === bytes.length &&
      this.#patterns.matches(id, bytes, 0, bytes.length);
    return same ? id : undefined;
  }

  /** Adds a pattern that `find` did not find. */
  add(id: number): void {
    if (this.#root === NONE) {
      this.#root = ~id;
      return;
    }
    const bytes = this.#patterns.bytes(id);
    const other = this.#nearest(bytes);
    const index = this.#patterns.commonLength(other, bytes);
    const difference = symbol(bytes, index) ^ this.#symbolOf(other, index);
    const bit = 1 << (31 - Math.clz32(difference));

    const node = this.#free.pop() ?? this.#count++;
    if (node === this.#zero.length) this.#grow();
    let parent = NONE;
    let child = this.#root;
    while (child >= 0) {
      const at = this.#index[child]!;
      if (at > index || (at === index && this.#bit[child]! < bit)) break;
      parent = child;
      child = this.#child(child, bytes);
    }
    const isOne = (symbol(bytes, index) & bit) !== 0;
    this.#index[node] = index;
    this.#bit[node] = bit;
    this.#zero[node] = isOne ? child : ~id;
    this.#one[node] = isOne ? ~id : child;
    this.#replace(parent, child, node);
  }

  remove(id: number): void {
    const bytes = this.#patterns.bytes(id);
    let grandparent = NONE;
    let parent = NONE;
    let child = this.#root;
    while (child >= 0) {
      grandparent = parent;
      parent = child;
      child = this.#child(child, bytes);
    }
    if (parent === NONE) {
      this.#root = NONE;
      return;
    }
    const sibling = this.#zero[parent] === child ? this.#one[parent]! : this.#zero[parent]!;
    this.#replace(grandparent, parent, sibling);
    this.#free.push(parent);
  }

  /** Whether some pattern begins with `text` from `start` to `end` and goes on after it. */
  continues(text: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    let child = this.#root;
    if (child === NONE) return false;
    while (child >= 0 && this.#index[child]! < length) {
      const byte = 0x100 | this.#fold[text[start + this.#index[child]!]!]!;
      child = (byte & this.#bit[child]!) === 0 ? this.#zero[child]! : this.#one[child]!;
    }
    // Two patterns with one beginning: at least one of them is longer than it.
    const several = child >= 0;
    while (child >= 0) child = this.#zero[child]!;
    const known = this.#patterns.length(~child);
    if (several ? known < length : known <= length) return false;
    return this.#patterns.matches(~child, text, start, length);
  }

  #symbolOf(id: number, index: number): number {
    return index < this.#patterns.length(id) ? 0x100 | this.#patterns.byteAt(id, index) : 0;
  }

  #nearest(bytes: Uint8Array): number {
    let child = this.#root;
    while (child >= 0) child = this.#child(child, bytes);
    return ~child;
  }

  #child(node: number, bytes: Uint8Array): number {
    const at = this.#index[node]!;
    const byte = at < bytes.length ? 0x100 | this.#fold[bytes[at]!]! : 0;
    return (byte & this.#bit[node]!) === 0 ? this.#zero[node]! : this.#one[node]!;
  }

  #replace(parent: number, child: number, by: number): void {
    if (parent === NONE) this.#root = by;
    else if (this.#zero[parent] === child) this.#zero[parent] = by;
    else this.#one[parent] = by;
  }

  #grow(): void {
    const size = this.#zero.length * 2;
    const zero = new Int32Array(size);
    const one = new Int32Array(size);
    const index = new Uint16Array(size);
    const bit = new Uint16Array(size);
    zero.set(this.#zero);
    one.set(this.#one);
    index.set(this.#index);
    bit.set(this.#bit);
    this.#zero = zero;
    this.#one = one;
    this.#index = index;
    this.#bit = bit;
  }
}

const symbol = (bytes: Uint8Array, index: number): number =>
  index < bytes.length ? 0x100 | bytes[index]! : 0;
