import type { Bytes } from "@lango/crypto-core";

/** Collects the bytes of one form after another. Its memory held secrets: call `clear` when done. */
export class ByteSink {
  #bytes: Bytes = new Uint8Array(2048);
  #length = 0;
  /** How far there may be something in the memory. */
  #used = 0;

  byte(value: number): void {
    if (this.#length === this.#bytes.length) this.#grow();
    this.#bytes[this.#length++] = value;
  }

  /** ASCII text. */
  text(ascii: string): void {
    for (let i = 0; i < ascii.length; i++) this.byte(ascii.charCodeAt(i));
  }

  /** The number in hexadecimal, upper case, with zeros in front up to `digits`. */
  hex(value: number, digits: number): void {
    for (let shift = (digits - 1) * 4; shift >= 0; shift -= 4) {
      this.byte("0123456789ABCDEF".charCodeAt((value >>> shift) & 15));
    }
  }

  slice(bytes: Uint8Array, from: number, to: number): void {
    for (let i = from; i < to; i++) this.byte(bytes[i]!);
  }

  /** What was collected, good until the next byte; the next form begins. */
  take(): Bytes {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#used = Math.max(this.#used, this.#length);
    this.#length = 0;
    return taken;
  }

  clear(): void {
    this.#bytes.fill(0, 0, Math.max(this.#used, this.#length));
    this.#length = 0;
    this.#used = 0;
  }

  #grow(): void {
    const old = this.#bytes;
    this.#bytes = new Uint8Array(old.length * 2);
    this.#bytes.set(old);
    old.fill(0);
  }
}
