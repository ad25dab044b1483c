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
import { assemble } from "./assembler.ts";
import {
  HAS_ESC,
  HAS_HTML_SIGN,
  HAS_SOFT_EQUALS,
  hasEscapesProcedure,
  MAY_HAVE_DENSE_LINE,
  MAY_HAVE_ESCAPES,
  surveyProcedure,
} from "./survey.ts";
import {
  BEGINNINGS_AT,
  BITMAPS_END,
  EIGHTS_AT,
  FOURS_AT,
  findEightProcedure,
  sweepProcedure,
} from "./sweep.ts";

const PAGE_BYTES = 64 * 1024;
const WORD_BYTES = 4;

/** The part of WebAssembly in use; the types of Node have none of it. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
  readonly Memory: new (size: { readonly initial: number }) => Memory;
}

interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

interface Procedures {
  findEight(at: number, end: number, shift: number): number;
  survey(at: number, length: number): number;
  hasEscapes(at: number, length: number): number;
  sweep(
    ...[at, end, text, shift8, shift4, hits]: readonly [
      number,
      number,
      number,
      number,
      number,
      number,
    ]
  ): number;
}

/** An instance of the module: its memory has the bitmaps, and then the texts with room for their hits. */
class Engine {
  readonly procedures: Procedures;
  readonly #memory: Memory;
  readonly #texts: WasmText[] = [];
  /** What was last copied to each address. */
  readonly #copied = new Map<number, { readonly bits: Bits; readonly version: number }>();
  #used = BITMAPS_END;

  constructor({ Memory, Instance }: WebAssemblyApi, module: object) {
    this.#memory = new Memory({ initial: BITMAPS_END / PAGE_BYTES });
    const { exports } = new Instance(module, { env: { memory: this.#memory } });
    this.procedures = exports as Procedures;
  }

  get buffer(): ArrayBuffer {
    return this.#memory.buffer;
  }

  createText(): WasmText {
    const text = new WasmText(this);
    this.#texts.push(text);
    return text;
  }

  /** Room that is never given back: texts grow a few times in their life, by doubling. */
  allocate(bytes: number): number {
    const at = this.#used;
    this.#used += bytes;
    const missing = Math.ceil((this.#used - this.buffer.byteLength) / PAGE_BYTES);
    if (missing > 0) {
      this.#memory.grow(missing);
      // Growing moves the memory, and every view of it is dead.
      for (const text of this.#texts) text.look();
    }
    return at;
  }

  /** Brings a bitmap up to date. */
  copy(at: number, bits: Bits): void {
    const copied = this.#copied.get(at);
    if (copied?.bits === bits && copied.version === bits.version) return;
    new Int32Array(this.buffer, at, bits.bitmap.length).set(bits.bitmap);
    this.#copied.set(at, { bits, version: bits.version });
  }
}

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
    this.allocate(PAGE_BYTES);
  }

  override survey(runBefore: number): number {
    const { survey, hasEscapes } = this.#engine.procedures;
    const { length } = this;
    const found = survey(this.#at, length);
    let marks = 0;
    if ((found & HAS_ESC) !== 0) marks |= ESC_MARK;
    if ((found & HAS_HTML_SIGN) !== 0) marks |= HTML_MARK;
    if ((found & HAS_SOFT_EQUALS) !== 0) marks |= EQUALS_MARK;
    if ((found & MAY_HAVE_ESCAPES) !== 0 && hasEscapes(this.#at, length) === 1)
      marks |= ESCAPES_MARK;
    // A run that begins before the text need not fill a block.
    const mayBeDense = runBefore > 0 || (found & MAY_HAVE_DENSE_LINE) !== 0;
    if (mayBeDense && hasDenseLine(this, runBefore)) marks |= DENSE_MARK;
    return marks;
  }

  override sweep(from: number, to: number, eights: Bits, fours: Bits): Hits {
    const engine = this.#engine;
    engine.copy(EIGHTS_AT, eights);
    engine.copy(FOURS_AT, fours);
    const at = this.#at;
    const last = engine.procedures.sweep(
      ...[at + from, at + to, at, addressShift(eights), addressShift(fours), this.#hitsAt],
    );
    return { list: this.#list, count: (last - this.#hitsAt) / WORD_BYTES };
  }

  override findEight(from: number, bits: Bits): number {
    const engine = this.#engine;
    engine.copy(BEGINNINGS_AT, bits);
    const at = this.#at;
    return engine.procedures.findEight(at + from, at + this.length, addressShift(bits)) - at;
  }

  /** Makes views of the memory as it is now. */
  look(): void {
    const { buffer } = this.#engine;
    this.view(buffer, this.#at, this.#capacity);
    this.#list = new Int32Array(buffer, this.#hitsAt, hitsFor(this.#capacity));
  }

  protected override allocate(capacity: number): void {
    const at = this.#engine.allocate(capacity + hitsFor(capacity) * WORD_BYTES);
    this.#at = at;
    this.#capacity = capacity;
    this.#hitsAt = at + capacity;
    this.look();
  }
}

const addressShift = ({ shift }: Bits): number => shift - 2;

let module: object | undefined;

/**
 * Texts that are searched by WebAssembly; by JavaScript where there is none (`--jitless`), and on processors that keep the
 * high byte of a word first, where the two would disagree about words.
 */
export const createTexts = (): readonly [Text, Text] => {
  const { WebAssembly: wasm } = globalThis as { WebAssembly?: WebAssemblyApi };
  if (wasm === undefined || IS_BIG_ENDIAN) return [new Text(), new Text()];
  module ??= new wasm.Module(
    assemble([surveyProcedure, hasEscapesProcedure, sweepProcedure, findEightProcedure]),
  );
  const engine = new Engine(wasm, module);
  return [engine.createText(), engine.createText()];
};
