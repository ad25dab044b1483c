/** Room behind the text, so that a load of the last word stays inside the memory. */
const PADDING = 64;

/** A text to be searched, in memory that is aligned and can be read in words. */
export class Text {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(4096);
  words: Int32Array<ArrayBuffer> = new Int32Array(this.bytes.buffer);
  length = 0;

  /** Makes room for `length` bytes; the text so far is kept. */
  reserve(length: number): void {
    if (length + PADDING <= this.bytes.length) return;
    const old = this.bytes;
    let capacity = old.length * 2;
    while (capacity < length + PADDING) capacity *= 2;
    this.bytes = new Uint8Array(capacity);
    this.words = new Int32Array(this.bytes.buffer);
    this.bytes.set(old.subarray(0, this.length));
    old.fill(0);
  }

  /** Takes two byte strings, one behind the other. */
  set(first: Uint8Array, second: Uint8Array): void {
    this.length = 0;
    this.reserve(first.length + second.length);
    if (first.length > 0) this.bytes.set(first, 0);
    this.bytes.set(second, first.length);
    this.length = first.length + second.length;
  }

  clear(): void {
    this.bytes.fill(0);
    this.length = 0;
  }
}
