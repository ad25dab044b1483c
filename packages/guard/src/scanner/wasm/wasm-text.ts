import type { Bits } from "../bits.ts";
import { IS_BIG_ENDIAN } from "../grams.ts";
import { type Hits, hitsFor, Text } from "../text.ts";
import { assemble } from "./assembler.ts";
import { surveyProcedure } from "./survey.ts";
import { EIGHTS_AT, FOURS_AT, sweepProcedure } from "./sweep.ts";

const PAGE_BYTES = 64 * 1024;
const TEXT_AT = 2 * FOURS_AT;
const FIRST_CAPACITY = 2 * PAGE_BYTES;
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
  survey(text: number, length: number, before: number): number;
  sweep(
    at: number,
    end: number,
    text: number,
    shift8: number,
    shift4: number,
    hits: number,
  ): number;
}

/** What was last copied into the memory. */
interface Copied {
  bits: Bits | undefined;
  version: number;
}

/**
 * A text in the memory of a WebAssembly module that searches it: the bitmaps of both grams, the text, the hits.
 */
class WasmText extends Text {
  readonly #memory: Memory;
  readonly #procedures: Procedures;
  readonly #eights: Copied = { bits: undefined, version: 0 };
  readonly #fours: Copied = { bits: undefined, version: 0 };
  #list: Int32Array = new Int32Array();
  #hitsAt = 0;

  constructor({ Memory, Instance }: WebAssemblyApi, module: object) {
    super();
    this.#memory = new Memory({ initial: TEXT_AT / PAGE_BYTES });
    const { exports } = new Instance(module, { env: { memory: this.#memory } });
    this.#procedures = exports as Procedures;
    this.allocate(FIRST_CAPACITY);
  }

  override survey(runBefore: number): number {
    return this.#procedures.survey(TEXT_AT, this.length, runBefore);
  }

  override sweep(from: number, to: number, eights: Bits, fours: Bits): Hits {
    this.#copy(EIGHTS_AT, eights, this.#eights);
    this.#copy(FOURS_AT, fours, this.#fours);
    const [at, end] = [TEXT_AT + from, TEXT_AT + to];
    const last = this.#procedures.sweep(at, end, TEXT_AT, eights.shift, fours.shift, this.#hitsAt);
    return { list: this.#list, count: (last - this.#hitsAt) / WORD_BYTES };
  }

  protected override allocate(capacity: number): void {
    this.#hitsAt = TEXT_AT + capacity;
    const needed = this.#hitsAt + hitsFor(capacity) * WORD_BYTES;
    const missing = Math.ceil((needed - this.#memory.buffer.byteLength) / PAGE_BYTES);
    // What was there stays where it is; the views of the old buffer are dead.
    if (missing > 0) this.#memory.grow(missing);
    const { buffer } = this.#memory;
    this.bytes = new Uint8Array(buffer, TEXT_AT, capacity);
    this.words = new Int32Array(buffer, TEXT_AT, capacity / WORD_BYTES);
    this.#list = new Int32Array(buffer, this.#hitsAt, hitsFor(capacity));
  }

  #copy(at: number, bits: Bits, copied: Copied): void {
    if (copied.bits === bits && copied.version === bits.version) return;
    new Int32Array(this.#memory.buffer, at, bits.bitmap.length).set(bits.bitmap);
    copied.bits = bits;
    copied.version = bits.version;
  }
}

let module: object | undefined;

/**
 * A text that is searched by WebAssembly; by JavaScript where there is none (`--jitless`), and on processors that keep the
 * high byte first, where the two would disagree about words.
 */
export const createText = (): Text => {
  const { WebAssembly: wasm } = globalThis as { WebAssembly?: WebAssemblyApi };
  if (wasm === undefined || IS_BIG_ENDIAN) return new Text();
  module ??= new wasm.Module(assemble([surveyProcedure, sweepProcedure]));
  return new WasmText(wasm, module);
};
