import type { Text } from "./text.ts";

/**
 * Bytes by whose absence much work can be left out. A pattern with one of the first four is in a table of its own; the last
 * one begins an escape sequence.
 */
export const MARKS = [0x00, 0x5c, 0x26, 0x25, 0x1b] as const;
export const ESCAPE_MARK = 4;
/** The bit after those of {@link MARKS}: a line that {@link survey} found to be broken by an encoder. */
export const SOFT_BREAK_MARK = 5;

/**
 * A line break behind this many bytes without a space is taken for one that an encoder put in: base64 breaks its lines
 * after 64 or 76 characters, `xxd -p` after 60.
 */
export const DENSE_RUN = 56;

const LF = 0x0a;
const CR = 0x0d;
const SOFT_BREAKS = [Buffer.from("=\n"), Buffer.from("=\r")];

/**
 * A bit for each of {@link MARKS} that the text has, and one that is set when a line of it ends with an equals sign or in at
 * least {@link DENSE_RUN} bytes without a space.
 *
 * @param runBefore - How many bytes without a space come before the text.
 */
export const survey = (text: Text, runBefore: number): number => {
  // Node's search for a byte is several times as fast as the one of typed arrays.
  const bytes = Buffer.from(text.bytes.buffer, text.bytes.byteOffset, text.length);
  let marks = 0;
  for (let i = 0; i < MARKS.length; i++) if (bytes.includes(MARKS[i]!)) marks |= 1 << i;
  const isSoft =
    (bytes.includes(LF) || bytes.includes(CR)) &&
    (SOFT_BREAKS.some((soft) => bytes.includes(soft)) ||
      (runBefore > 0 && isBrokenRun(text, 0, runBefore)) ||
      hasDenseLine(text));
  return isSoft ? marks | (1 << SOFT_BREAK_MARK) : marks;
};

/** Whether a byte is visible ASCII: no space and no control character. */
export const isDense = (byte: number): boolean => byte > 0x20 && byte < 0x7f;

/** A dense run covers a whole word at one of these places, wherever it begins. */
const SAMPLE_WORDS = (DENSE_RUN - 8) / 4;

const hasDenseLine = (text: Text): boolean => {
  const { bytes, words, length } = text;
  const last = (length >> 2) - 1;
  for (let i = 0; i <= last; i += SAMPLE_WORDS) {
    // At least half of the rest of the run is on one side.
    if (!isDenseWord(words[i]!) || !(isDenseAround(words, i, 1) || isDenseAround(words, i, -1))) {
      continue;
    }
    let from = i << 2;
    while (from > 0 && isDense(bytes[from - 1]!)) from--;
    if (isBrokenRun(text, from, 0)) return true;
  }
  return false;
};

const isDenseAround = (words: Int32Array, at: number, direction: 1 | -1): boolean => {
  for (let i = 1; i <= SAMPLE_WORDS / 2 - 1; i++) {
    const word = words[at + i * direction];
    // Beyond the text lies what does not count.
    if (word !== undefined && !isDenseWord(word)) return false;
  }
  return true;
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
