import type { Bits } from "../bits.ts";
import { assemble, type Procedure } from "./assembler.ts";
import { hasEscapesProcedure, surveyProcedure } from "./survey.ts";
import {
  BEGINNINGS_AT,
  BITMAPS_END,
  EIGHTS_AT,
  FOURS_AT,
  findEightProcedure,
  sweepProcedure,
} from "./sweep.ts";

export const PAGE_BYTES: number = 64 * 1024;

/** The part of WebAssembly in use; the types of Node have none of it. */
export interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
  readonly Memory: new (size: { readonly initial: number }) => Memory;
}

interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

interface Looks {
  findEight(at: number, end: number): number;
  survey(at: number, length: number): number;
  hasEscapes(at: number, length: number): number;
}

interface Sweeps {
  sweep(at: number, end: number, text: number, hits: number): number;
}

/** WebAssembly with its memory: the bitmaps, and then the texts with room for their hits. */
export class Engine {
  readonly looks: Looks;
  readonly #wasm: WebAssemblyApi;
  readonly #memory: Memory;
  readonly #onMove: (() => void)[] = [];
  /** What was last copied to each address. */
  readonly #copied = new Map<number, { readonly bits: Bits; readonly version: number }>();
  #sweeps: (Sweeps & { readonly shift8: number; readonly shift4: number }) | undefined;
  #used = BITMAPS_END;

  constructor(wasm: WebAssemblyApi) {
    this.#wasm = wasm;
    this.#memory = new wasm.Memory({ initial: BITMAPS_END / PAGE_BYTES });
    this.looks = this.#load([surveyProcedure, hasEscapesProcedure, findEightProcedure]) as Looks;
  }

  get buffer(): ArrayBuffer {
    return this.#memory.buffer;
  }

  /** Calls `moved` whenever the memory has moved and views of it are dead. */
  onMove(moved: () => void): void {
    this.#onMove.push(moved);
  }

  /** Room that is never given back: texts grow a few times in their life, by doubling. */
  allocate(bytes: number): number {
    const at = this.#used;
    this.#used += bytes;
    const missing = Math.ceil((this.#used - this.buffer.byteLength) / PAGE_BYTES);
    if (missing > 0) {
      this.#memory.grow(missing);
      for (const moved of this.#onMove) moved();
    }
    return at;
  }

  setBeginnings(bits: Bits): void {
    this.#copy(BEGINNINGS_AT, bits);
  }

  /** The sweep for these bitmaps; assembled anew when one of them has another size. */
  sweepFor(eights: Bits, fours: Bits): Sweeps["sweep"] {
    this.#copy(EIGHTS_AT, eights);
    this.#copy(FOURS_AT, fours);
    const { shift: shift8 } = eights;
    const { shift: shift4 } = fours;
    if (this.#sweeps?.shift8 !== shift8 || this.#sweeps.shift4 !== shift4) {
      const { sweep } = this.#load([sweepProcedure(shift8, shift4)]) as Sweeps;
      this.#sweeps = { sweep, shift8, shift4 };
    }
    return this.#sweeps.sweep;
  }

  #load(procedures: readonly Procedure[]): unknown {
    const module = new this.#wasm.Module(assemble(procedures));
    return new this.#wasm.Instance(module, { env: { memory: this.#memory } }).exports;
  }

  #copy(at: number, bits: Bits): void {
    const copied = this.#copied.get(at);
    if (copied?.bits === bits && copied.version === bits.version) return;
    new Int32Array(this.buffer, at, bits.bitmap.length).set(bits.bitmap);
    this.#copied.set(at, { bits, version: bits.version });
  }
}
