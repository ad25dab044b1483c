import type { Text } from "./text.ts";

/**
 * Bytes by whose absence much work can be left out. A pattern with one of the first four is in a table of its own; the last
 * one begins an escape sequence.
 */
export const MARKS = [0x00, 0x5c, 0x26, 0x25, 0x1b] as const;
export const ESCAPE_MARK = 4;

/**
 * A line break behind this many bytes without a space is taken for one that an encoder put in: base64 breaks its lines
 * after 64 or 76 characters, `xxd -p` after 60.
 */
export const DENSE_RUN = 56;

const LF = 0x0a;
const CR = 0x0d;
const SOFT_BREAKS = [Buffer.from("=\n"), Buffer.from("=\r")];

/** A bit for each of {@link MARKS} that the text has. */
export const marksOf = (text: Text): number => {
  // Node's search for a byte is several times as fast as the one of typed arrays.
  const bytes = asBuffer(text);
  let marks = 0;
  for (let i = 0; i < MARKS.length; i++) if (bytes.includes(MARKS[i]!)) marks |= 1 << i;
  return marks;
};

/** Whether a line of the text ends with an equals sign, or in at least {@link DENSE_RUN} bytes without a space. */
export const hasSoftBreak = (text: Text, runBefore: number): boolean => {
  const bytes = asBuffer(text);
  if (!bytes.includes(LF) && !bytes.includes(CR)) return false;
  if (SOFT_BREAKS.some((soft) => bytes.includes(soft))) return true;
  if (runBefore > 0 && isBrokenRun(text, 0, runBefore)) return true;
  return hasDenseLine(text);
};

/** Whether a byte is visible ASCII: no space and no control character. */
export const isDense = (byte: number): boolean => byte > 0x20 && byte < 0x7f;

/** A dense run covers a whole word at one of these places, wherever it begins. */
const SAMPLE_WORDS = (DENSE_RUN - 8) / 4;

const hasDenseLine = (text: Text): boolean => {
  const { bytes, words, length } = text;
  const last = (length >> 2) - 1;
  for (let i = 0; i <= last; i += SAMPLE_WORDS) {
    if (!isDenseWord(words[i]!)) continue;
    let from = i << 2;
    while (from > 0 && isDense(bytes[from - 1]!)) from--;
    if (isBrokenRun(text, from, 0)) return true;
  }
  return false;
};

/** Whether the dense bytes from `from` on, with some before, are a run that a line break ends. */
const isBrokenRun = ({ bytes, length }: Text, from: number, before: number): boolean => {
  let end = from;
  while (end < length && isDense(bytes[end]!)) end++;
  return (
    before + end - from >= DENSE_RUN && end < length && (bytes[end] === LF || bytes[end] === CR)
  );
};

/** {@link isDense} for the four bytes of a word, by what a byte that is not leaves in its highest bit. */
const isDenseWord = (word: number): boolean =>
  (((word - 0x21212121) | (word + 0x01010101) | word) & 0x80808080) === 0;

const asBuffer = ({ bytes, length }: Text): Buffer => Buffer.from(bytes.buffer, 0, length);
