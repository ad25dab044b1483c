import { COMMON_WORDS } from "./common-words.ts";
import type { UnmaskedReason } from "./types.ts";

/** Shorter values occur by chance. */
const MIN_VALUE_BYTES = 6;
/** A line or a leaf of a value is less sure to be secret than the whole, so it must be longer. */
export const MIN_PART_BYTES = 8;

/**
 * Tells why a value cannot be masked, or `undefined` when it can: shorter than 6 bytes (`short`), or a word that stands
 * in ordinary text, or one character repeated (`common`). Masking such a value everywhere would hide harmless text and,
 * by where the masks stand, show the value. For a warning when a secret is stored.
 */
export const unmaskedReason = (value: Uint8Array): UnmaskedReason | undefined => {
  if (value.length < MIN_VALUE_BYTES) return "short";
  return isCommon(value) ? "common" : undefined;
};

/** Tells whether a value is a common word in any case, between any white space, or the same byte over and over. */
export const isCommon = (value: Uint8Array): boolean => {
  const { start, end } = trimmed(value);
  const first = value[start];
  let same = true;
  for (let at = start + 1; at < end && same; at++) same = value[at] === first;
  if (same) return true;
  if (end - start > LONGEST_WORD) return false;
  let word = "";
  for (let at = start; at < end; at++) word += String.fromCharCode(value[at]!);
  return COMMON_WORDS.has(word.toLowerCase());
};

const LONGEST_WORD = 24;

/** The part of a value between white space at its two ends. */
export const trimmed = (value: Uint8Array): { start: number; end: number } => {
  let start = 0;
  let end = value.length;
  while (start < end && isSpace(value[start]!)) start++;
  while (end > start && isSpace(value[end - 1]!)) end--;
  return { start, end };
};

const isSpace = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
