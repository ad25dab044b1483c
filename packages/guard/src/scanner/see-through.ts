import { DENSE_RUN, ESCAPE_MARK, isDense, SOFT_BREAK_MARK } from "./survey.ts";
import type { Text } from "./text.ts";

/** How many bytes of escapes and soft line breaks in a row are seen through. It bounds what is held back. */
const MAX_GAP = 256;
const BEL = 0x07;
const LF = 0x0a;
const CR = 0x0d;
const ESC = 0x1b;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;

/**
 * Where in an escape sequence (ECMA-48 §5) or soft line break a text stopped: in plain text; behind an equals sign that
 * may begin a soft break (RFC 2045 §6.7); behind that break's CR; behind ESC; in its intermediate bytes; in a control
 * sequence; in a control string; behind an ESC in a control string.
 */
type Mode =
  | "text"
  | "equals"
  | "soft-cr"
  | "escape"
  | "intermediate"
  | "control"
  | "string"
  | "string-escape";

/** What a reader has to remember from one chunk to the next. */
export interface ReaderState {
  readonly mode: Mode;
  /** Bytes that were left out since the last one that was not. */
  readonly gap: number;
  /** Bytes without a space at the end of the text seen so far, at most {@link DENSE_RUN}. */
  readonly run: number;
}

export const START: ReaderState = { mode: "text", gap: 0, run: 0 };

/** A text without its escape sequences and soft line breaks, as a terminal or a decoder sees it. */
export class SeenThrough {
  readonly text: Text;
  /** For each byte of it, where it stands in the original. */
  positions: Int32Array = new Int32Array(1024);
  /** Before which of its bytes something was left out. */
  readonly cuts: number[] = [];

  constructor(text: Text) {
    this.text = text;
  }

  clear(): void {
    this.text.length = 0;
    this.cuts.length = 0;
  }

  add(byte: number, position: number): void {
    const at = this.text.length;
    this.text.reserve(at + 1);
    if (at === this.positions.length) {
      const grown = new Int32Array(at * 2);
      grown.set(this.positions);
      this.positions = grown;
    }
    this.text.bytes[at] = byte;
    this.positions[at] = position;
    this.text.length = at + 1;
  }

  cut(): void {
    if (this.cuts.at(-1) !== this.text.length) this.cuts.push(this.text.length);
  }
}

/**
 * Reads `text` from `from` to `to`, leaving out what is seen through.
 *
 * @param seen - Takes what is left. An equals sign at the end that may belong to a soft break is not yet in it.
 * @returns The state behind the last byte.
 */
export const readThrough = (
  text: Uint8Array,
  from: number,
  to: number,
  state: ReaderState,
  seen?: SeenThrough,
): ReaderState => {
  let { mode, gap, run } = state;

  const keep = (byte: number, at: number): void => {
    // An equals sign of the chunk before, now known to be text: nothing begins with it, or it would have been held back.
    if (at >= from) seen?.add(byte, at);
    gap = 0;
    run = isDense(byte) ? Math.min(run + 1, DENSE_RUN) : 0;
  };
  /** Leaves a byte out, or keeps it where too many have been left out. */
  const leave = (byte: number, at: number, next: Mode): void => {
    if (gap === MAX_GAP) {
      keep(byte, at);
      mode = "text";
      return;
    }
    gap++;
    seen?.cut();
    mode = next;
  };
  const readText = (byte: number, at: number): void => {
    mode = "text";
    if (byte === ESC) leave(byte, at, "escape");
    else if (byte === EQUALS) mode = "equals";
    else if ((byte === LF || byte === CR) && run === DENSE_RUN) leave(byte, at, "text");
    else keep(byte, at);
  };

  for (let at = from; at < to; at++) {
    const byte = text[at]!;
    switch (mode) {
      case "text":
        readText(byte, at);
        break;
      case "equals":
        if (byte === LF || byte === CR) leave(byte, at, byte === CR ? "soft-cr" : "text");
        else {
          keep(EQUALS, at - 1);
          readText(byte, at);
        }
        break;
      case "soft-cr":
        if (byte === LF) leave(byte, at, "text");
        else readText(byte, at);
        break;
      case "escape":
        if (byte >= 0x20 && byte < 0x30) leave(byte, at, "intermediate");
        else if (byte >= 0x30 && byte < 0x7f) leave(byte, at, afterEscape(byte));
        else readText(byte, at);
        break;
      case "intermediate":
        if (byte >= 0x20 && byte < 0x30) leave(byte, at, "intermediate");
        else if (byte >= 0x30 && byte < 0x7f) leave(byte, at, "text");
        else readText(byte, at);
        break;
      case "control":
        if (byte >= 0x20 && byte < 0x40) leave(byte, at, "control");
        else if (byte >= 0x40 && byte < 0x7f) leave(byte, at, "text");
        else readText(byte, at);
        break;
      case "string":
        if (byte === BEL) leave(byte, at, "text");
        else leave(byte, at, byte === ESC ? "string-escape" : "string");
        break;
      case "string-escape":
        if (byte === BACKSLASH) leave(byte, at, "text");
        else leave(byte, at, "string");
        break;
    }
  }
  return { mode, gap, run };
};

/** What follows ESC and one byte: CSI, one of the strings DCS, SOS, OSC, PM and APC, or nothing. */
const afterEscape = (byte: number): Mode => {
  if (byte === 0x5b) return "control";
  return byte === 0x50 || byte === 0x58 || (byte >= 0x5d && byte <= 0x5f) ? "string" : "text";
};

/**
 * Whether {@link readThrough} may leave out anything of a text; when not, the text is what is seen.
 *
 * @param marks - What `survey` found.
 */
export const mayLeaveOut = (text: Text, marks: number, state: ReaderState): boolean =>
  state.mode !== "text" ||
  (marks & ((1 << ESCAPE_MARK) | (1 << SOFT_BREAK_MARK))) !== 0 ||
  // It may begin a soft line break.
  text.bytes[text.length - 1] === EQUALS;

/** The state behind `to` bytes of a text of which nothing is left out; the same as {@link readThrough} gives. */
export const skipThrough = (text: Text, to: number, state: ReaderState): ReaderState => {
  if (to === 0) return state;
  const { bytes } = text;
  const isEquals = bytes[to - 1] === EQUALS;
  // The equals sign waits: it is not yet part of the run.
  const end = isEquals ? to - 1 : to;
  let run = 0;
  while (run < DENSE_RUN && run < end && isDense(bytes[end - 1 - run]!)) run++;
  if (run === end) run = Math.min(DENSE_RUN, run + state.run);
  return { mode: isEquals ? "equals" : "text", gap: end === 0 ? state.gap : 0, run };
};
