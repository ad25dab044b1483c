import { count, report, torture } from "./torture.ts";

const INPUTS = torture(20_000, 1_000_000);
/** 1,000,000 inputs take minutes. */
export const FUZZ_TIMEOUT_MS: number = torture(60_000, 3_600_000);
const MAX_GROWTH_BYTES = 512 * 1024 * 1024;

/** A small generator with a seed (xorshift32), so that a failing input can be made again. */
const generator = (seed: number) => {
  let state = seed;
  return (below: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
};

/** A valid input with a few changes, or, one time in four, noise. */
const mutate = (valid: readonly Uint8Array[], random: (below: number) => number): Uint8Array => {
  if (random(4) === 0) return Uint8Array.from({ length: random(300) }, () => random(256));
  let input = Buffer.from(valid[random(valid.length)]!);
  for (let change = random(4); change >= 0; change--) {
    const at = random(input.length + 1);
    const length = random(9);
    const noise = Buffer.from(Array.from({ length }, () => random(256)));
    switch (random(6)) {
      case 0:
        if (at < input.length) input[at] = input[at]! ^ (1 << random(8));
        break;
      case 1:
        input = input.subarray(0, at);
        break;
      case 2:
        input = Buffer.concat([input.subarray(0, at), noise, input.subarray(at)]);
        break;
      case 3:
        input = Buffer.concat([input.subarray(0, at), input.subarray(at + length)]);
        break;
      case 4:
        // Lengths and counts at their extremes.
        input.fill(random(2) === 0 ? 0xff : 0, at, Math.min(at + length, input.length));
        break;
      default:
        input = Buffer.concat([input.subarray(0, at), input.subarray(random(at + 1))]);
    }
  }
  return input;
};

export interface FuzzOptions {
  /** What is fed, e.g. `LNG1`. */
  readonly name: string;
  /** Inputs that are right; what is fed are changes of them, and noise. */
  readonly valid: readonly Uint8Array[];
  readonly parse: (input: Uint8Array) => unknown;
  /** The code of an error that the parser may throw; `undefined` for any other. */
  readonly codeOf: (error: unknown) => string | undefined;
}

/**
 * Feeds a parser; every failure must be typed and memory stay bounded. A hang ends at the test's timeout.
 *
 * @returns How often each outcome came; `opened` where the parser took the input.
 */
export async function fuzz({
  name,
  valid,
  parse,
  codeOf,
}: FuzzOptions): Promise<Map<string, number>> {
  const seed = Number(process.env["LANGO_FUZZ_SEED"] ?? (Date.now() & 0x7fffffff) + 1);
  const random = generator(seed);
  const outcomes = new Map<string, number>();
  const before = process.memoryUsage().rss;
  for (let i = 0; i < INPUTS; i++) {
    const input = mutate(valid, random);
    try {
      await parse(input);
      count(outcomes, "opened");
    } catch (error) {
      const code = codeOf(error);
      if (code === undefined) {
        const hex = Buffer.from(input).toString("hex");
        throw new Error(`LANGO_FUZZ_SEED=${seed}, ${name} input ${i}: ${hex}`, { cause: error });
      }
      count(outcomes, code);
    }
  }
  const grown = process.memoryUsage().rss - before;
  if (grown > MAX_GROWTH_BYTES) throw new Error(`${name}: memory grew by ${grown} bytes`);
  report(`inputs to ${name}`, outcomes);
  return outcomes;
}
