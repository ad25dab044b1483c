/** Room behind the text, so that the last load of a gram stays inside the memory. */
const PADDING = 64;

/** A text to be searched, in memory that is aligned and can be read in words. */
export class Text {
  bytes: Uint8Array<ArrayBuffer>;
  words: Int32Array<ArrayBuffer>;
  #buffer: Buffer;
  length = 0;

  constructor() {
    const memory = new ArrayBuffer(4096);
    this.bytes = new Uint8Array(memory);
    this.words = new Int32Array(memory);
    this.#buffer = Buffer.from(memory);
  }

  /** Makes room for `length` bytes; the text so far is kept. */
  reserve(length: number): void {
    if (length + PADDING <= this.bytes.length) return;
    const old = this.bytes;
    let capacity = this.bytes.length * 2;
    while (capacity < length + PADDING) capacity *= 2;
    const memory = new ArrayBuffer(capacity);
    this.bytes = new Uint8Array(memory);
    this.words = new Int32Array(memory);
    this.#buffer = Buffer.from(memory);
    this.bytes.set(old.subarray(0, this.length));
    old.fill(0);
  }

  /** Takes two byte strings, one behind the other. */
  set(first: Uint8Array, second: Uint8Array): void {
    this.length = 0;
    this.reserve(first.length + second.length);
    this.bytes.set(first, 0);
    this.bytes.set(second, first.length);
    this.length = first.length + second.length;
  }

  /** Where `byte` comes first at or after `from`, or the length of the text. */
  indexOf(byte: number, from = 0): number {
    if (from >= this.length) return this.length;
    // Node's search for a byte is several times as fast as the one of typed arrays.
    const at = this.#buffer.subarray(from, this.length).indexOf(byte);
    return at < 0 ? this.length : from + at;
  }

  clear(): void {
    this.bytes.fill(0);
    this.length = 0;
  }
}
