import {
  type BeforeText,
  DENSE_MARK,
  EQUALS_MARK,
  ESC_MARK,
  isSoftBreak,
  runBeforePlace,
} from "./survey.ts";
import type { Text } from "./text.ts";

/** How many bytes of escape sequences and soft line breaks in a row are seen through. It bounds what is held back. */
const MAX_GAP = 256;

const BEL = 0x07;
const LF = 0x0a;
const CR = 0x0d;
const ESC = 0x1b;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;
const SOFT_EQUALS = ["=\n", "=\r"] as const;

/**
 * Where in an escape sequence (ECMA-48 §5) a text stopped: in plain text; behind ESC; in its intermediate bytes; in a control
 * sequence; in a control string; behind an ESC in a control string.
 */
type Mode = "text" | "escape" | "intermediate" | "control" | "string" | "string-escape";

/** What a reader has to remember from one chunk to the next. */
export interface ReaderState extends BeforeText {
  readonly mode: Mode;
  /** Bytes that were left out since the last one that was not. */
  readonly gap: number;
}

export const START: ReaderState = {
  mode: "text",
  gap: 0,
  previous: undefined,
  run: 0,
  isSoftCr: false,
};

/** Short stretches are copied byte by byte: a call costs more. */
const SHORT = 32;

/** A text without its escape sequences and soft line breaks, as a terminal or a decoder sees it. */
export class SeenThrough {
  readonly text: Text;
  /** Before which of its bytes something was left out. */
  readonly cuts: number[] = [];
  /** Where each stretch of it begins, here and in the original. */
  readonly #here: number[] = [];
  readonly #there: number[] = [];

  constructor(text: Text) {
    this.text = text;
  }

  clear(): void {
    this.text.length = 0;
    this.cuts.length = 0;
    this.#here.length = 0;
    this.#there.length = 0;
  }

  add(bytes: Uint8Array, from: number, to: number): void {
    const { text } = this;
    const at = text.length;
    text.reserve(at + to - from);
    if (to - from < SHORT) {
      for (let i = from; i < to; i++) text.bytes[at + i - from] = bytes[i]!;
    } else text.bytes.set(bytes.subarray(from, to), at);
    text.length = at + to - from;
    this.#here.push(at);
    this.#there.push(from);
  }

  cut(): void {
    if (this.cuts.at(-1) !== this.text.length) this.cuts.push(this.text.length);
  }

  /** Where a byte of it stands in the original. */
  position(at: number): number {
    let low = 0;
    let high = this.#here.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#here[middle]! <= at) low = middle;
      else high = middle;
    }
    return this.#there[low]! + at - this.#here[low]!;
  }
}

/**
 * Whether {@link readThrough} may leave out anything of a text; when not, the text is what is seen.
 *
 * @param marks - What `survey` found.
 */
export const mayLeaveOut = (text: Text, marks: number, state: ReaderState): boolean =>
  state.mode !== "text" ||
  (marks & (ESC_MARK | EQUALS_MARK | DENSE_MARK)) !== 0 ||
  // The second half of a soft line break, or perhaps the first.
  state.isSoftCr ||
  state.previous === EQUALS ||
  text.bytes[text.length - 1] === EQUALS;

/**
 * Reads the first `to` bytes of a text, leaving out what is seen through.
 *
 * @param marks - What `survey` found.
 * @param seen - Takes what is left.
 * @returns The state behind the last byte.
 */
export const readThrough = (
  text: Text,
  marks: number,
  to: number,
  state: ReaderState,
  seen?: SeenThrough,
): ReaderState => {
  // Before anything of `text` is looked at: both are in one memory, and when that grows it moves.
  seen?.text.reserve(to);
  const { bytes } = text;
  const breaks = softBreaks(text, marks, to, state);
  let { mode, gap } = state;
  let nextBreak = 0;
  let sequence = -1;
  for (let at = 0; at < to; ) {
    if (mode !== "text") {
      const next = afterByte(mode, bytes[at]!);
      if (next === undefined || gap === MAX_GAP) mode = "text";
      else {
        mode = next;
        gap++;
        at++;
        seen?.cut();
      }
      continue;
    }
    if (sequence < at) sequence = text.indexOf(ESC, at);
    while (nextBreak < breaks.length && breaks[nextBreak]! < at) nextBreak++;
    const broken = breaks[nextBreak] ?? to;
    const stop = Math.min(sequence, broken, to);
    // The equals sign of a soft line break (RFC 2045 §6.7) goes with it.
    const end = stop === broken && stop > at && bytes[stop - 1] === EQUALS ? stop - 1 : stop;
    if (end > at) {
      seen?.add(bytes, at, end);
      gap = 0;
    }
    at = stop;
    if (stop >= to) break;
    if (gap === MAX_GAP) {
      seen?.add(bytes, at, at + 1);
      gap = 0;
    } else {
      gap++;
      seen?.cut();
      if (stop === sequence) mode = "escape";
    }
    at++;
  }
  return { ...stateBehind(text, to, state), mode, gap };
};

/** The state behind `to` bytes of a text of which nothing is left out. */
export const skipThrough = (text: Text, to: number, state: ReaderState): ReaderState =>
  to === 0 ? state : { ...stateBehind(text, to, state), mode: "text", gap: 0 };

const stateBehind = ({ bytes }: Text, to: number, before: BeforeText): BeforeText => {
  if (to === 0) return before;
  const previous = bytes[to - 1]!;
  return {
    previous,
    run: runBeforePlace(bytes, to, before.run),
    isSoftCr: previous === CR && isSoftBreak(bytes, to - 1, before),
  };
};

/** Where the soft line breaks among the first `to` bytes are, in order: each CR and each LF of them. */
const softBreaks = (text: Text, marks: number, to: number, before: BeforeText): number[] => {
  const { bytes } = text;
  const breaks = new Set<number>();
  const take = (at: number): void => {
    const isBreak = at < to && (bytes[at] === LF || bytes[at] === CR);
    if (isBreak && isSoftBreak(bytes, at, before)) breaks.add(at);
  };
  // What the bytes before the text make soft is not in the survey.
  take(0);
  take(1);
  if ((marks & DENSE_MARK) !== 0) {
    for (let at = 0; at < to; at++) take(at);
  } else if ((marks & EQUALS_MARK) !== 0) {
    for (const sign of SOFT_EQUALS) {
      for (let at = text.indexOf(sign, 0); at < to; at = text.indexOf(sign, at + 1)) {
        take(at + 1);
        take(at + 2);
      }
    }
  }
  return [...breaks].sort((a, b) => a - b);
};

/** What comes after one more byte of an escape sequence; `undefined` if the byte is not part of it. */
const afterByte = (mode: Exclude<Mode, "text">, byte: number): Mode | undefined => {
  const isIntermediate = byte >= 0x20 && byte < 0x30;
  switch (mode) {
    case "escape":
      if (isIntermediate) return "intermediate";
      return byte >= 0x30 && byte < 0x7f ? afterEscape(byte) : undefined;
    case "intermediate":
      if (isIntermediate) return "intermediate";
      return byte >= 0x30 && byte < 0x7f ? "text" : undefined;
    case "control":
      if (byte >= 0x20 && byte < 0x40) return "control";
      return byte >= 0x40 && byte < 0x7f ? "text" : undefined;
    case "string":
      if (byte === BEL) return "text";
      return byte === ESC ? "string-escape" : "string";
    case "string-escape":
      return byte === BACKSLASH ? "text" : "string";
  }
};

/** What follows ESC and one byte: CSI, one of the strings DCS, SOS, OSC, PM and APC, or nothing. */
const afterEscape = (byte: number): Mode => {
  if (byte === 0x5b) return "control";
  return byte === 0x50 || byte === 0x58 || (byte >= 0x5d && byte <= 0x5f) ? "string" : "text";
};
