import { isUtf8 } from "node:buffer";
import { isCommon, MIN_PART_BYTES, trimmed } from "./assess.ts";

/** A longer value is looked for in pieces, so that what a stream holds back and one step of work stay small. */
const PIECE_BYTES = 1024;
/** Pieces share this much, so that the masks of two pieces meet in every form, base64 included. */
const PIECE_OVERLAP = 8;

/**
 * The byte strings by which a secret is known, all of them to be looked for in every form: the value itself, the value
 * without white space at its ends, and of a structured value each line and each JSON leaf of at least 8 bytes. The
 * views share the memory of `value`, except those of JSON leaves.
 */
export function* partsOf(value: Uint8Array): Generator<Uint8Array> {
  yield* pieces(value);
  const { start, end } = trimmed(value);
  if (end - start >= MIN_PART_BYTES - 2 && end - start < value.length) {
    yield* pieces(value.subarray(start, end));
  }
  yield* linesOf(value);
  yield* leavesOf(value);
}

function* pieces(value: Uint8Array): Generator<Uint8Array> {
  const text = isUtf8(value);
  let from = 0;
  while (value.length - from > PIECE_BYTES + PIECE_OVERLAP) {
    let next = from + PIECE_BYTES;
    // A piece of a text is a text: forms are made character by character.
    while (text && isInsideCharacter(value, next)) next--;
    let end = next + PIECE_OVERLAP;
    while (text && isInsideCharacter(value, end)) end--;
    yield value.subarray(from, end);
    from = next;
  }
  yield value.subarray(from);
}

const isInsideCharacter = (value: Uint8Array, at: number): boolean => (value[at]! & 0xc0) === 0x80;

function* linesOf(value: Uint8Array): Generator<Uint8Array> {
  if (!value.includes(0x0a)) return;
  for (let from = 0; from < value.length; ) {
    const found = value.indexOf(0x0a, from);
    const to = found < 0 ? value.length : found;
    const line = value.subarray(from, to);
    const { start, end } = trimmed(line);
    yield* telling(line.subarray(start, end));
    from = to + 1;
  }
}

function* leavesOf(value: Uint8Array): Generator<Uint8Array> {
  const { start } = trimmed(value);
  if (value[start] !== 0x7b && value[start] !== 0x5b) return;
  let root: unknown;
  try {
    root = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(value));
  } catch {
    return;
  }
  // Its own stack: a deeply nested value must not overflow ours.
  const pending: unknown[] = [root];
  while (pending.length > 0) {
    const node = pending.pop();
    if (typeof node === "object" && node !== null) {
      for (const child of Object.values(node)) pending.push(child);
    } else if (typeof node === "string" || typeof node === "number") {
      const leaf = new TextEncoder().encode(String(node));
      const ends = trimmed(leaf);
      yield* telling(leaf.subarray(ends.start, ends.end));
      yield* linesOf(leaf);
      leaf.fill(0);
    }
  }
}

/** The part, if it is long enough and no text that stands in files of this kind whoever made them. */
function* telling(part: Uint8Array): Generator<Uint8Array> {
  if (part.length < MIN_PART_BYTES || isCommon(part) || isArmour(part) || isPlainUrl(part)) return;
  yield* pieces(part);
}

const startsWith = (part: Uint8Array, ascii: string): boolean => {
  for (let i = 0; i < ascii.length; i++) if (part[i] !== ascii.charCodeAt(i)) return false;
  return true;
};

/** `-----BEGIN PRIVATE KEY-----` and the like. */
const isArmour = (part: Uint8Array): boolean =>
  startsWith(part, "-----BEGIN ") || startsWith(part, "-----END ");

/** An address without credentials: no user information and no query. */
const isPlainUrl = (part: Uint8Array): boolean =>
  (startsWith(part, "https://") || startsWith(part, "http://")) &&
  !part.includes(0x40) &&
  !part.includes(0x3f);
