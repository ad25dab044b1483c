import { type Bytes, CryptoError } from "@lango/crypto-core";

/** Longest line that is taken, in bytes. */
const MAX_LINE_BYTES = 64 * 1024;

const CTRL_C = 0x03;
const CTRL_D = 0x04;
const BACKSPACE = 0x08;
const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const CTRL_U = 0x15;
const ESCAPE = 0x1b;
const DELETE = 0x7f;
const BELL = "\u0007";
const RUB_OUT = "\b \b";

/** How a line ended. */
export type LineEnd = "entered" | "given up" | "interrupted";

/** Where an escape sequence of the terminal stands (ECMA-48 §5.4): an arrow key is no part of a passphrase. */
type EscapeState = "none" | "started" | "parameters" | "single";

/**
 * Collects the bytes that a terminal in raw mode sends into a line. It works on bytes because a string cannot be
 * zeroed, so it knows UTF-8 only as far as erasing a character needs it.
 */
export class LineEditor {
  readonly #line: Bytes = new Uint8Array(MAX_LINE_BYTES);
  readonly #show: (typed: Uint8Array) => string;
  #length = 0;
  #escape: EscapeState = "none";

  /** @param show - What the terminal shows for bytes that were typed. */
  constructor(show: (typed: Uint8Array) => string) {
    this.#show = show;
  }

  /**
   * Takes bytes until a line ends.
   *
   * @returns How many of them were used, what to write to the terminal, and how the line ended if it did.
   * @throws CryptoError `ERR_INVALID_ARGUMENT` for a line of more than 64 KiB.
   */
  feed(chunk: Uint8Array): { used: number; output: string; end?: LineEnd } {
    let output = "";
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (this.#inEscape(byte)) continue;
      if (byte === CARRIAGE_RETURN || byte === LINE_FEED) {
        // A pasted line may end in both.
        const pair = byte === CARRIAGE_RETURN && chunk[at + 1] === LINE_FEED;
        return { used: at + (pair ? 2 : 1), output, end: "entered" };
      }
      if (byte === CTRL_C) return { used: at + 1, output, end: "interrupted" };
      if (byte === CTRL_D) {
        return { used: at + 1, output, end: this.#length === 0 ? "given up" : "entered" };
      }
      if (byte === BACKSPACE || byte === DELETE) output += this.#eraseCharacter();
      else if (byte === CTRL_U) while (this.#length > 0) output += this.#eraseCharacter();
      else if (byte < 0x20 && byte !== TAB) output += BELL;
      else output += this.#append(byte);
    }
    return { used: chunk.length, output };
  }

  /** The line so far, in memory of its own. */
  take(): Bytes {
    return this.#line.slice(0, this.#length);
  }

  /** Forgets everything. */
  clear(): void {
    this.#line.fill(0);
    this.#length = 0;
  }

  #append(byte: number): string {
    if (this.#length === MAX_LINE_BYTES) {
      throw new CryptoError("ERR_INVALID_ARGUMENT", `A line may have ${MAX_LINE_BYTES} bytes`, {
        context: { hint: "Give it in a file or through a pipe" },
      });
    }
    this.#line[this.#length++] = byte;
    return this.#show(this.#line.subarray(this.#length - 1, this.#length));
  }

  #eraseCharacter(): string {
    if (this.#length === 0) return "";
    let first = this.#length - 1;
    while (first > 0 && isContinuation(this.#line[first]!)) first--;
    this.#line.fill(0, first, this.#length);
    this.#length = first;
    return RUB_OUT;
  }

  /** Follows escape sequences; true for a byte that belongs to one. */
  #inEscape(byte: number): boolean {
    const state = this.#escape;
    if (state === "none" || byte < 0x20) {
      this.#escape = byte === ESCAPE ? "started" : "none";
      return byte === ESCAPE;
    }
    if (state === "started" && byte === 0x5b) this.#escape = "parameters";
    else if (state === "started" && byte === 0x4f) this.#escape = "single";
    else if (state !== "parameters" || byte >= 0x40) this.#escape = "none";
    return true;
  }
}

/** Whether a byte is not the first of a character (RFC 3629 §3). */
export const isContinuation = (byte: number): boolean => (byte & 0xc0) === 0x80;
