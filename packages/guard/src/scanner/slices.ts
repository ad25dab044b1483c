import { setImmediate } from "node:timers/promises";

/** Leaves room below the 10 ms that an event loop may be kept waiting. */
const SLICE_MS = 4;

/** Runs work that yields now and then, and lets other work of the process run in between. */
export class Slices {
  #began: number = performance.now();

  async run<T>(work: Generator<undefined, T>): Promise<T> {
    for (;;) {
      const step = work.next();
      if (step.done === true) return step.value;
      if (performance.now() - this.#began < SLICE_MS) continue;
      await setImmediate();
      this.#began = performance.now();
    }
  }
}
