import type { FormName } from "./types.ts";

const PAGE_BITS = 20;
const PAGE_BYTES = 1 << PAGE_BITS;

/** Lower case for ASCII letters, every other byte as it is. */
export const FOLD: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte,
);
export const AS_IS: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => byte);

/**
 * The bytes of all patterns, in pages that never move: growing leaves no copies of secrets behind. A pattern whose case
 * does not count is kept in lower case.
 */
export class PatternStore {
  readonly #pages: Uint8Array[] = [];
  /** Bytes of living patterns on each page; a page without any is used again. */
  readonly #alive: number[] = [];
  readonly #free: number[] = [];
  #page = -1;
  #pageUsed = PAGE_BYTES;
  #count = 0;
  #start: Uint32Array = new Uint32Array(64);
  #length: Uint16Array = new Uint16Array(64);
  #owner: Uint32Array = new Uint32Array(64);
  #caseCounts: Uint8Array = new Uint8Array(64);
  readonly #forms: FormName[] = [];
  /** Where its table of grams has it, and 1; 0 until it is entered there. */
  #slot: Uint32Array = new Uint32Array(64);

  add(bytes: Uint8Array, owner: number, form: FormName, caseCounts: boolean): number {
    const id = this.#free.pop() ?? this.#count++;
    if (id === this.#start.length) this.#growTables();
    if (this.#pageUsed + bytes.length > PAGE_BYTES) this.#openPage();
    const page = this.#pages[this.#page]!;
    const fold = caseCounts ? AS_IS : FOLD;
    for (let i = 0; i < bytes.length; i++) page[this.#pageUsed + i] = fold[bytes[i]!]!;
    this.#start[id] = this.#page * PAGE_BYTES + this.#pageUsed;
    this.#length[id] = bytes.length;
    this.#owner[id] = owner;
    this.#caseCounts[id] = caseCounts ? 1 : 0;
    this.#forms[id] = form;
    this.#slot[id] = 0;
    this.#pageUsed += bytes.length;
    this.#alive[this.#page]! += bytes.length;
    return id;
  }

  remove(id: number): void {
    const bytes = this.bytes(id);
    bytes.fill(0);
    this.#alive[this.#start[id]! >>> PAGE_BITS]! -= bytes.length;
    this.#free.push(id);
  }

  /** A view, good until the pattern is removed. */
  bytes(id: number): Uint8Array {
    const start = this.#start[id]!;
    const offset = start & (PAGE_BYTES - 1);
    return this.#pages[start >>> PAGE_BITS]!.subarray(offset, offset + this.#length[id]!);
  }

  byteAt(id: number, index: number): number {
    const start = this.#start[id]!;
    return this.#pages[start >>> PAGE_BITS]![(start & (PAGE_BYTES - 1)) + index]!;
  }

  length(id: number): number {
    return this.#length[id]!;
  }

  owner(id: number): number {
    return this.#owner[id]!;
  }

  setOwner(id: number, owner: number): void {
    this.#owner[id] = owner;
  }

  slot(id: number): number | undefined {
    const slot = this.#slot[id]!;
    return slot === 0 ? undefined : slot - 1;
  }

  setSlot(id: number, slot: number): void {
    this.#slot[id] = slot + 1;
  }

  form(id: number): FormName {
    return this.#forms[id]!;
  }

  caseCounts(id: number): boolean {
    return this.#caseCounts[id] === 1;
  }

  /** How many bytes a pattern and other bytes have in common at their beginnings; both are as they are kept. */
  commonLength(id: number, bytes: Uint8Array): number {
    const start = this.#start[id]!;
    const page = this.#pages[start >>> PAGE_BITS]!;
    const from = start & (PAGE_BYTES - 1);
    const end = Math.min(bytes.length, this.#length[id]!);
    let i = 0;
    while (i < end && bytes[i] === page[from + i]) i++;
    return i;
  }

  /** Whether the first `length` bytes of the pattern stand in `text` at `at`. */
  matches(id: number, text: Uint8Array, at: number, length: number): boolean {
    const start = this.#start[id]!;
    const page = this.#pages[start >>> PAGE_BITS]!;
    const from = start & (PAGE_BYTES - 1);
    if (this.#caseCounts[id] === 1) {
      for (let i = 0; i < length; i++) if (text[at + i] !== page[from + i]) return false;
    } else {
      for (let i = 0; i < length; i++) if (FOLD[text[at + i]!] !== page[from + i]) return false;
    }
    return true;
  }

  close(): void {
    for (const page of this.#pages) page.fill(0);
  }

  #openPage(): void {
    const empty = this.#alive.findIndex((bytes, page) => bytes === 0 && page !== this.#page);
    this.#page = empty >= 0 ? empty : this.#pages.push(new Uint8Array(PAGE_BYTES)) - 1;
    this.#alive[this.#page] = 0;
    this.#pageUsed = 0;
  }

  #growTables(): void {
    const size = this.#start.length * 2;
    const grow = <T extends Uint8Array | Uint16Array | Uint32Array>(old: T, grown: T): T => {
      grown.set(old);
      return grown;
    };
    this.#start = grow(this.#start, new Uint32Array(size));
    this.#length = grow(this.#length, new Uint16Array(size));
    this.#owner = grow(this.#owner, new Uint32Array(size));
    this.#caseCounts = grow(this.#caseCounts, new Uint8Array(size));
    this.#slot = grow(this.#slot, new Uint32Array(size));
  }
}
