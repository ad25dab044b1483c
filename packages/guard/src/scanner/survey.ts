import type { Text } from "./text.ts";

// What a first pass over a text tells, as bits. By what is not there, most of the work can be left out.

/** `\u` or `\x` and the backslash of the next escape: patterns of the escapes have them. */
export const ESCAPES_MARK = 0x1;
/** The end of one HTML number and the beginning of the next, `;&#`. */
export const HTML_MARK = 0x2;
/** ESC, which begins a sequence that is seen through. */
export const ESC_MARK = 0x4;
/** A line that ends with an equals sign. */
export const EQUALS_MARK = 0x8;
/** A line that ends in {@link DENSE_RUN} dense bytes. */
export const DENSE_MARK = 0x10;

/**
 * A line break behind this many dense bytes is taken for one that an encoder put in: base64 breaks its lines after 64 or
 * 76 characters, `xxd -p` after 60.
 */
export const DENSE_RUN = 56;

const LF = 0x0a;
const CR = 0x0d;
const ESC = 0x1b;
const EQUALS = 0x3d;
const BACKSLASH = 0x5c;
/** See {@link HTML_MARK}. */
export const HTML_SIGN = ";&#";
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=";

const DENSE = new Uint8Array(256);
for (const char of ALPHABET) DENSE[char.charCodeAt(0)] = 1;

/** Whether a byte is one that base64, base64url and hexadecimal are written with. */
export const isDense = (byte: number): boolean => DENSE[byte] === 1;

/**
 * The marks of a text.
 *
 * @param runBefore - How many dense bytes come right before the text.
 */
export const survey = (text: Text, runBefore: number): number => {
  // Node's searches are several times as fast as those of typed arrays.
  const bytes = Buffer.from(text.bytes.buffer, text.bytes.byteOffset, text.length);
  let marks = bytes.includes(ESC) ? ESC_MARK : 0;
  if (hasEscapes(bytes)) marks |= ESCAPES_MARK;
  if (bytes.includes(HTML_SIGN)) marks |= HTML_MARK;
  if (bytes.includes("=\n") || bytes.includes("=\r")) marks |= EQUALS_MARK;
  const hasBreaks = bytes.includes(LF) || bytes.includes(CR);
  return hasBreaks && hasDenseLine(text, runBefore) ? marks | DENSE_MARK : marks;
};

/** Whether two escapes follow each other. The case of their letters does not count. */
export const hasEscapes = (bytes: Buffer): boolean => {
  for (let at = bytes.indexOf(BACKSLASH); at >= 0; at = bytes.indexOf(BACKSLASH, at + 1)) {
    const kind = bytes[at + 1]! | 0x20;
    if (kind === 0x75 && bytes[at + 6] === BACKSLASH) return true;
    if (kind === 0x78 && bytes[at + 4] === BACKSLASH) return true;
  }
  return false;
};

/** Whether a line ends in {@link DENSE_RUN} dense bytes. */
export const hasDenseLine = ({ bytes, length }: Text, runBefore: number): boolean => {
  // A run that is long enough covers one of these places, or begins before the text.
  for (let at = 0; at < length; at += DENSE_RUN) {
    let end = at;
    while (end < length && isDense(bytes[end]!)) end++;
    const isLine = end < length && (bytes[end] === LF || bytes[end] === CR);
    if (isLine && runBeforePlace(bytes, end, runBefore) >= DENSE_RUN) return true;
    // The places up to the end of this run have the same one: a run of a megabyte is read once.
    at = Math.max(at, end - (end % DENSE_RUN));
  }
  return false;
};

/**
 * How many dense bytes come right before a place, at most {@link DENSE_RUN}.
 *
 * @param runBefore - How many come right before the text.
 */
export const runBeforePlace = (bytes: Uint8Array, at: number, runBefore: number): number => {
  let run = 0;
  while (run < DENSE_RUN && run < at && isDense(bytes[at - 1 - run]!)) run++;
  return run === at ? Math.min(DENSE_RUN, run + runBefore) : run;
};

/** Whether a line break at a place is soft, if there is one. */
export const isSoftBreak = (bytes: Uint8Array, at: number, before: BeforeText): boolean => {
  const previous = at > 0 ? bytes[at - 1] : before.previous;
  if (previous === EQUALS) return true;
  if (previous !== CR) return runBeforePlace(bytes, at, before.run) === DENSE_RUN;
  // The second byte of CR LF.
  if (bytes[at] !== LF) return false;
  return at > 0 ? isSoftBreak(bytes, at - 1, before) : before.isSoftCr;
};

/** What a text needs to know of the bytes before it. */
export interface BeforeText {
  /** The last of them. */
  readonly previous: number | undefined;
  /** How many at their end are dense, at most {@link DENSE_RUN}. */
  readonly run: number;
  /** Whether they end with a CR that is a soft line break. */
  readonly isSoftCr: boolean;
}
