// How a gram (3, 4, 8 or 16 bytes in a row) is hashed. Case is dropped here for every pattern: a wrong candidate costs a
// comparison, while a second index for the other case would cost a pass over the text.

export type GramBytes = 3 | 4 | 8 | 16;

/** Sets the bit that distinguishes the cases of ASCII letters, in four bytes at once. */
export const CASE_BITS = 0x20202020;
/** Whether a word has its high byte first. */
export const IS_BIG_ENDIAN: boolean = new Uint8Array(new Uint32Array([1]).buffer)[0] === 0;
/** Of a word, the three bytes that come first in memory. */
const FIRST_THREE: number = IS_BIG_ENDIAN ? 0xffffff00 | 0 : 0x00ffffff;

// Odd numbers with their bits spread evenly: the fractional parts of the square roots of 2, 3 and 5.
export const K0 = 0x6a09e667;
export const K1: number = 0xbb67ae85 | 0;
const K2 = 0x3c6ef373;

/** The hash of the gram at `at`. Its upper bits are the good ones. */
export const hashGram = (gram: GramBytes, bytes: Uint8Array, at: number): number => {
  const first = wordAt(bytes, at);
  if (gram === 3) return hashWord(first & FIRST_THREE);
  if (gram === 4) return hashWord(first);
  const pair = hashPair(first, wordAt(bytes, at + 4));
  return gram === 8
    ? pair
    : joinPairs(pair, hashPair(wordAt(bytes, at + 8), wordAt(bytes, at + 12)));
};

/** The hash of the gram that begins at a word of a text. */
export const hashWords = (gram: GramBytes, text: Int32Array, at: number): number => {
  const first = text[at]!;
  if (gram === 3) return hashWord(first & FIRST_THREE);
  if (gram === 4) return hashWord(first);
  const pair = hashPair(first, text[at + 1]!);
  return gram === 8 ? pair : joinPairs(pair, hashPair(text[at + 2]!, text[at + 3]!));
};

const hashWord = (word: number): number => Math.imul(word | CASE_BITS, K0);

export const hashPair = (first: number, second: number): number =>
  (Math.imul(first | CASE_BITS, K0) + Math.imul(second | CASE_BITS, K1)) | 0;

const joinPairs = (first: number, second: number): number =>
  (Math.imul(first ^ (second >>> 15), K2) + second) | 0;

/** The word one byte further on. */
export const nextWord = (word: number, byte: number): number =>
  IS_BIG_ENDIAN ? (word << 8) | byte : (word >>> 8) | (byte << 24);

/** Four bytes as a load from memory gives them. */
export const wordAt = (bytes: Uint8Array, at: number): number =>
  IS_BIG_ENDIAN
    ? (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
    : bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
