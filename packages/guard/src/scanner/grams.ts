// How a gram (3, 4, 8 or 16 bytes in a row) is hashed. Case is dropped here for every pattern: a wrong candidate costs a
// comparison, while a second index for the other case would cost a pass over the text.

export type GramBytes = 3 | 4 | 8 | 16;

/** Sets the bit that distinguishes the cases of ASCII letters, in four bytes at once. */
export const CASE_BITS = 0x20202020;
const IS_BIG_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 0;
/** Of a word, the three bytes that come first in memory. */
export const FIRST_THREE: number = IS_BIG_ENDIAN ? 0xffffff00 | 0 : 0x00ffffff;

// Odd numbers with their bits spread evenly: the fractional parts of the square roots of 2, 3, 5 and 7.
export const K0 = 0x6a09e667;
export const K1: number = 0xbb67ae85 | 0;
export const K2 = 0x3c6ef373;
export const K3: number = 0xa54ff53b | 0;

/** The hash of the gram at `at`. Its upper bits are the good ones. */
export const hashGram = (gram: GramBytes, bytes: Uint8Array, at: number): number => {
  const first = wordAt(bytes, at) | CASE_BITS;
  if (gram === 3) return Math.imul(first & FIRST_THREE, K0);
  if (gram === 4) return Math.imul(first, K0);
  const pair = (Math.imul(first, K0) + Math.imul(wordAt(bytes, at + 4) | CASE_BITS, K1)) | 0;
  if (gram === 8) return pair;
  const third = Math.imul(wordAt(bytes, at + 8) | CASE_BITS, K2);
  return (pair + third + Math.imul(wordAt(bytes, at + 12) | CASE_BITS, K3)) | 0;
};

/** Four bytes as a load from memory gives them. Bytes beyond the end count as 0. */
export const wordAt = (bytes: Uint8Array, at: number): number => {
  const [a, b, c, d] = [bytes[at]!, bytes[at + 1]!, bytes[at + 2]!, bytes[at + 3]!];
  return IS_BIG_ENDIAN
    ? (a << 24) | (b << 16) | (c << 8) | d
    : a | (b << 8) | (c << 16) | (d << 24);
};
