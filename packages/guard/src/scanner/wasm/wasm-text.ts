import type { Bits } from "../bits.ts";
import { IS_BIG_ENDIAN } from "../grams.ts";
import {
  DENSE_MARK,
  EQUALS_MARK,
  ESC_MARK,
  ESCAPES_MARK,
  HTML_MARK,
  hasDenseLine,
} from "../survey.ts";
import { type Hits, hitsFor, Text } from "../text.ts";
import { Engine, PAGE_BYTES, type WebAssemblyApi } from "./engine.ts";
import {
  HAS_ESC,
  HAS_HTML_SIGN,
  HAS_SOFT_EQUALS,
  MAY_HAVE_DENSE_LINE,
  MAY_HAVE_ESCAPES,
} from "./survey.ts";

const WORD_BYTES = 4;

/** A text that is searched by WebAssembly. */
class WasmText extends Text {
  readonly #engine: Engine;
  #at = 0;
  #capacity = 0;
  #hitsAt = 0;
  #list: Int32Array = new Int32Array();

  constructor(engine: Engine) {
    super();
    this.#engine = engine;
    engine.onMove(() => this.#look());
    this.allocate(PAGE_BYTES);
  }

  override survey(runBefore: number): number {
    const { survey, hasEscapes } = this.#engine.looks;
    const { length } = this;
    const found = survey(this.#at, length);
    let marks = 0;
    if ((found & HAS_ESC) !== 0) marks |= ESC_MARK;
    if ((found & HAS_HTML_SIGN) !== 0) marks |= HTML_MARK;
    if ((found & HAS_SOFT_EQUALS) !== 0) marks |= EQUALS_MARK;
    const mayEscape = (found & MAY_HAVE_ESCAPES) !== 0;
    if (mayEscape && hasEscapes(this.#at, length) === 1) marks |= ESCAPES_MARK;
    // A run that begins before the text need not fill a block.
    const mayBeDense = runBefore > 0 || (found & MAY_HAVE_DENSE_LINE) !== 0;
    if (mayBeDense && hasDenseLine(this, runBefore)) marks |= DENSE_MARK;
    return marks;
  }

  override sweep(from: number, to: number, eights: Bits, fours: Bits): Hits {
    const at = this.#at;
    const sweep = this.#engine.sweepFor(eights, fours);
    const last = sweep(at + from, at + to, at, this.#hitsAt);
    return { list: this.#list, count: (last - this.#hitsAt) / WORD_BYTES };
  }

  override findEight(from: number, bits: Bits): number {
    this.#engine.setBeginnings(bits);
    const at = this.#at;
    return this.#engine.looks.findEight(at + from, at + this.length) - at;
  }

  protected override allocate(capacity: number): void {
    const at = this.#engine.allocate(capacity + hitsFor(capacity) * WORD_BYTES);
    this.#at = at;
    this.#capacity = capacity;
    this.#hitsAt = at + capacity;
    this.#look();
  }

  #look(): void {
    const { buffer } = this.#engine;
    this.view(buffer, this.#at, this.#capacity);
    this.#list = new Int32Array(buffer, this.#hitsAt, hitsFor(this.#capacity));
  }
}

/**
 * Texts that are searched by WebAssembly; by JavaScript where there is none (`--jitless`), and on processors that keep the
 * high byte of a word first, where the two would disagree about words.
 */
export const createTexts = (): readonly [Text, Text] => {
  const { WebAssembly: wasm } = globalThis as { WebAssembly?: WebAssemblyApi };
  if (wasm === undefined || IS_BIG_ENDIAN) return [new Text(), new Text()];
  const engine = new Engine(wasm);
  return [new WasmText(engine), new WasmText(engine)];
};
