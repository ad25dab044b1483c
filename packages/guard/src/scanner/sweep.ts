import { type Bits, has, hasTwice } from "./bits.ts";
import { CASE_BITS, hashPair, K0, K1, nextWord, wordAt } from "./grams.ts";
import type { Text } from "./text.ts";

/**
 * Looks at every 8 bytes for a gram of 8, and at every 4 for a gram of 4. One pass for both: they share the loads and half
 * of the multiplications.
 *
 * @param from - A multiple of 8.
 * @param hits - Takes where a gram may stand: its place for a gram of 8, its place and 1 for a gram of 4. One for every four
 *   bytes must fit, and half as many more.
 * @returns How many there are.
 */
export const sweep = (
  text: Text,
  from: number,
  to: number,
  eights: Bits,
  fours: Bits,
  hits: Int32Array,
): number => {
  const { words } = text;
  const { bitmap: bits8, shift: shift8 } = eights;
  const { bitmap: bits4, shift: shift4 } = fours;
  let count = 0;
  const end = to >> 2;
  // Words beyond the text may be looked at: a gram there is dropped when its pattern is compared.
  for (let i = from >> 2; i < end; i += 4) {
    const b = words[i + 1]! | CASE_BITS;
    const d = words[i + 3]! | CASE_BITS;
    const a0 = Math.imul(words[i]! | CASE_BITS, K0);
    const b0 = Math.imul(b, K0);
    const c0 = Math.imul(words[i + 2]! | CASE_BITS, K0);
    const d0 = Math.imul(d, K0);
    const ab = (a0 + Math.imul(b, K1)) | 0;
    const cd = (c0 + Math.imul(d, K1)) | 0;
    // Six tests and one branch that is seldom taken; which of them it was, and a second bit, is looked at again.
    const any =
      (bits8[ab >>> shift8]! >>> ab) |
      (bits8[cd >>> shift8]! >>> cd) |
      (bits4[a0 >>> shift4]! >>> a0) |
      (bits4[b0 >>> shift4]! >>> b0) |
      (bits4[c0 >>> shift4]! >>> c0) |
      (bits4[d0 >>> shift4]! >>> d0);
    if ((any & 1) === 0) continue;
    const at = i << 2;
    if (has(eights, ab)) hits[count++] = at;
    if (has(eights, cd)) hits[count++] = at + 8;
    if (has(fours, a0)) hits[count++] = at + 1;
    if (has(fours, b0)) hits[count++] = at + 5;
    if (has(fours, c0)) hits[count++] = at + 9;
    if (has(fours, d0)) hits[count++] = at + 13;
  }
  return count;
};

/**
 * The first place at or after `from` where 8 bytes stand that are in `bits`; where fewer than 8 are left, if there is none.
 * Looks at every place, not at a grid: for the short tail of a text.
 */
export const findEight = ({ bytes, length }: Text, from: number, bits: Bits): number => {
  let low = wordAt(bytes, from);
  let high = wordAt(bytes, from + 4);
  let at = from;
  for (; at + 8 <= length; at++) {
    if (hasTwice(bits, hashPair(low, high))) return at;
    low = nextWord(low, bytes[at + 4]!);
    high = nextWord(high, bytes[at + 8]!);
  }
  return at;
};
