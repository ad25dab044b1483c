import { CryptoError, isBytes } from "@lango/crypto-core";
import type { MaskTokens } from "./mask-tokens.ts";
import { Matches } from "./matches.ts";
import type { SecretIndex } from "./secret-index.ts";
import {
  mayLeaveOut,
  type ReaderState,
  readThrough,
  SeenThrough,
  START,
  skipThrough,
} from "./see-through.ts";
import type { Text } from "./text.ts";
import type { Finding, FormName, Masker, MaskOptions } from "./types.ts";
import { createTexts } from "./wasm/wasm-text.ts";

/** Work is done in slices that fit the processor's cache. */
const SLICE_BYTES = 64 * 1024;
const EMPTY = new Uint8Array();
const EQUALS = 0x3d;

/** What the maskers of one scanner share: they run one at a time, from a call to its return. */
export interface Workshop {
  readonly index: SecretIndex;
  readonly tokens: MaskTokens;
  readonly text: Text;
  readonly seen: SeenThrough;
  readonly found: Matches;
  readonly isClosed: boolean;
}

export const createWorkshop = (
  index: SecretIndex,
  tokens: MaskTokens,
  [text, seen]: readonly [Text, Text] = createTexts(),
): Workshop & { isClosed: boolean } => ({
  index,
  tokens,
  text,
  seen: new SeenThrough(seen),
  found: new Matches(),
  isClosed: false,
});

/** Matches that overlap, as one stretch. Offsets count from the beginning of the stream. */
interface Stretch {
  readonly start: number;
  end: number;
  /** The longest match in it, whose name and form it takes: where it begins, how long it is, and its pattern. */
  longestAt: number;
  longest: number;
  pattern: number;
  name: string;
  form: FormName;
}

/** See {@link Masker}. */
export class StreamMasker implements Masker {
  readonly #shop: Workshop;
  readonly #onFinding: MaskOptions["onFinding"];
  #held: Uint8Array = EMPTY;
  /** Where in the stream the held bytes begin. */
  #offset = 0;
  /** Up to where the stream has been given out or masked; beyond the held bytes' beginning if a stretch reaches there. */
  #done = 0;
  #stretch: Stretch | undefined;
  #reader: ReaderState = START;
  readonly #findings: Finding[] = [];
  /** Whether a whole form may lie in what is held back. */
  #holdsForm = false;
  #isEnded = false;

  constructor(shop: Workshop, options: MaskOptions = {}) {
    this.#shop = shop;
    this.#onFinding = options.onFinding;
  }

  get heldBytes(): number {
    return this.#held.length;
  }

  write(chunk: Uint8Array): readonly Uint8Array[] {
    if (!isBytes(chunk)) {
      throw new CryptoError("ERR_INVALID_ARGUMENT", "A chunk to be masked is not a Uint8Array");
    }
    this.#checkOpen();
    if (chunk.length <= SLICE_BYTES) return this.#take(chunk, false);
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
      pieces.push(...this.#take(chunk.subarray(at, at + SLICE_BYTES), false));
    }
    return pieces;
  }

  end(): readonly Uint8Array[] {
    this.#checkOpen();
    this.#isEnded = true;
    return this.#take(EMPTY, true);
  }

  /** What is held back, and how much of it `show` has given out. `undefined` when nothing of it may be shown. */
  get held(): { readonly bytes: Uint8Array; readonly shown: number } | undefined {
    if (this.#holdsForm || this.#stretch !== undefined || this.#held.length === 0) return undefined;
    return { bytes: this.#held, shown: Math.max(0, this.#done - this.#offset) };
  }

  /** Gives out what is held back and holds it all the same: a mask that comes to stand there then stands for the rest. */
  show(): Uint8Array[] {
    const { held } = this;
    if (held === undefined) return [];
    this.#done = this.#offset + held.bytes.length;
    return [held.bytes.slice(held.shown)];
  }

  #checkOpen(): void {
    if (!this.#isEnded && !this.#shop.isClosed) return;
    this.#held.fill(0);
    this.#held = EMPTY;
    const what = this.#isEnded ? "The masked stream has ended" : "The scanner is closed";
    throw new CryptoError("ERR_CLOSED", what);
  }

  #take(chunk: Uint8Array, isLast: boolean): Uint8Array[] {
    const { index, text, found } = this.#shop;
    const held = this.#held;
    text.set(held, chunk);
    found.clear();
    const marks = text.survey(this.#reader.run);
    index.find(text, marks, 0, text.length, found);
    let decided = isLast ? text.length : index.holdPoint(text);
    if (mayLeaveOut(text, marks, this.#reader)) {
      decided = Math.min(decided, this.#lookThrough(marks, isLast));
      this.#reader = readThrough(text, marks, decided, this.#reader);
    } else {
      this.#reader = skipThrough(text, decided, this.#reader);
    }

    this.#holdsForm = found.ends.some((end) => end > decided);
    const out = new Pieces(text.bytes, held.length, chunk);
    this.#mask(decided, out);
    this.#held = decided === text.length ? EMPTY : text.bytes.slice(decided, text.length);
    this.#offset += decided;
    held.fill(0);
    // Only now, when nothing of the workshop is in use: the listener may scan too.
    for (const finding of this.#findings.splice(0)) this.#onFinding?.(finding);
    return out.pieces;
  }

  /** Adds the matches that go through what is left out, and returns up to where they are all known. */
  #lookThrough(marks: number, isLast: boolean): number {
    const { index, text, seen, found } = this.#shop;
    seen.clear();
    const { mode, gap, previous } = readThrough(text, marks, text.length, this.#reader, seen);
    let decided = isLast ? text.length : this.#seenHoldPoint();
    if (!isLast && mode === "text" && gap === 0 && previous === EQUALS && seen.text.length > 0) {
      // Text or the beginning of a soft break: held back if a secret might go on from either, and no end of a match yet.
      seen.text.length--;
      decided = Math.min(decided, this.#seenHoldPoint());
    }
    seen.text.close();
    const first = found.count;
    const seenMarks = seen.text.survey(0);
    for (const { from, to } of around(seen.cuts, index.longest - 1, seen.text.length)) {
      index.find(seen.text, seenMarks, from, to, found);
    }
    found.translate(first, seen);
    return decided;
  }

  #seenHoldPoint(): number {
    const { index, text, seen } = this.#shop;
    const at = index.holdPoint(seen.text);
    return at === seen.text.length ? text.length : seen.position(at);
  }

  /** Gives out the text up to `decided`, with a mask for each stretch of matches. */
  #mask(decided: number, out: Pieces): void {
    const { index, found } = this.#shop;
    const offset = this.#offset;
    for (const i of found.inOrder()) {
      const start = offset + found.starts[i]!;
      const end = offset + found.ends[i]!;
      if (start >= offset + decided) break;
      const stretch = this.#stretch;
      if (stretch === undefined || start >= stretch.end) {
        this.#closeStretch(out);
        this.#give(start, out);
      }
      const open = this.#stretch ?? newStretch(start);
      open.end = Math.max(open.end, end);
      const pattern = found.ids[i]!;
      if (isBetter(open, start, end - start, pattern)) {
        open.longestAt = start;
        open.longest = end - start;
        open.pattern = pattern;
        open.name = index.name(pattern);
        open.form = index.form(pattern);
      }
      this.#stretch = open;
    }
    // Matches that are not yet known begin at `decided` or later, and those that only touch are a stretch of their own.
    if (this.#stretch !== undefined && this.#stretch.end <= offset + decided) {
      this.#closeStretch(out);
    }
    if (this.#stretch === undefined) this.#give(offset + decided, out);
  }

  #give(to: number, out: Pieces): void {
    // Shown before it was decided.
    if (to <= this.#done) return;
    out.text(this.#done - this.#offset, to - this.#offset);
    this.#done = to;
  }

  #closeStretch(out: Pieces): void {
    const stretch = this.#stretch;
    if (stretch === undefined) return;
    const { name, form, start, end } = stretch;
    this.#findings.push({ name, form, offset: start, length: end - start });
    out.pieces.push(this.#shop.tokens.get(name));
    this.#done = Math.max(this.#done, end);
    this.#stretch = undefined;
  }
}

const newStretch = (start: number): Stretch => ({
  ...{ start, end: start, longestAt: start, longest: 0 },
  ...{ pattern: 0, name: "", form: "raw" },
});

/** Of two matches with the same place the pattern decides: the order in which they are found depends on the chunks. */
const isBetter = (stretch: Stretch, start: number, length: number, pattern: number): boolean =>
  length > stretch.longest ||
  (length === stretch.longest && start === stretch.longestAt && pattern < stretch.pattern);

/** The stretches within `reach` of the cuts, merged where they meet; each begins at a multiple of 8. */
function* around(
  cuts: readonly number[],
  reach: number,
  length: number,
): Generator<{ from: number; to: number }> {
  let from = 0;
  let to = -1;
  for (const cut of cuts) {
    const next = Math.max(0, cut - reach);
    if (to >= 0 && next > to) yield { from, to };
    if (to < 0 || next > to) from = next & ~7;
    to = Math.min(length, cut + reach);
  }
  if (to >= 0) yield { from, to };
}

/** Output in order: views of the chunk where they can be, copies of what was held back. */
class Pieces {
  readonly pieces: Uint8Array[] = [];
  readonly #held: Uint8Array;
  readonly #heldLength: number;
  readonly #chunk: Uint8Array;

  constructor(text: Uint8Array, heldLength: number, chunk: Uint8Array) {
    this.#held = text.subarray(0, heldLength);
    this.#heldLength = heldLength;
    // Parts of a Buffer would be Buffers.
    this.#chunk = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
  }

  text(from: number, to: number): void {
    const border = this.#heldLength;
    if (from < Math.min(to, border)) this.pieces.push(this.#held.slice(from, to));
    if (Math.max(from, border) < to) {
      this.pieces.push(this.#chunk.subarray(Math.max(from, border) - border, to - border));
    }
  }
}
