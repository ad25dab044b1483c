/** One measure: how fast ours is, how fast the other is, and the ratio of the two in the same run. */
export interface Measure {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly theirs: number;
  /** Median of the rounds' own ratios: the machine's drift falls out of it. */
  readonly ratio: number;
  /** What `targets` asks, e.g. `≥ 0.95`. */
  readonly target: string;
  readonly met: boolean;
}

/** What a group throws that cannot be measured on this machine; the message says why. */
export class Skipped extends Error {}

type Work = () => unknown;

export const median = (values: number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
};

const secondsPerCall = async (work: Work, calls: number): Promise<number> => {
  const start = process.hrtime.bigint();
  for (let i = 0; i < calls; i++) await work();
  return Number(process.hrtime.bigint() - start) / 1e9 / calls;
};

/** The number of calls that takes about `seconds`, found by doubling. Warms the code up on the way. */
const calibrate = async (work: Work, seconds: number): Promise<number> => {
  for (let calls = 1; ; calls *= 2) {
    const perCall = await secondsPerCall(work, calls);
    if (perCall * calls >= seconds / 4) return Math.max(1, Math.round(seconds / perCall));
  }
};

export interface PairOptions {
  readonly name: string;
  /** One call of ours and one of theirs do the same amount of work: `amount` of `unit`. */
  readonly ours: Work;
  readonly theirs: Work;
  readonly unit: string;
  readonly amount: number;
  readonly atLeast: number;
  readonly rounds?: number;
  readonly secondsPerRound?: number;
}

/** Measures throughput in paired rounds: ours, theirs, ours, theirs, … The ratio is ours / theirs; more is better. */
export const compareThroughput = async (options: PairOptions): Promise<Measure> => {
  const { rounds = 9, secondsPerRound = 0.15 } = options;
  const ourCalls = await calibrate(options.ours, secondsPerRound);
  const theirCalls = await calibrate(options.theirs, secondsPerRound);
  const ours: number[] = [];
  const theirs: number[] = [];
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round++) {
    // Which goes first changes each round, so that neither always runs on the warmer cache.
    const ourTurn = async () => ours.push(await secondsPerCall(options.ours, ourCalls));
    const theirTurn = async () => theirs.push(await secondsPerCall(options.theirs, theirCalls));
    if (round % 2 === 0) {
      await ourTurn();
      await theirTurn();
    } else {
      await theirTurn();
      await ourTurn();
    }
    ratios.push(theirs[round]! / ours[round]!);
  }
  const ratio = median(ratios);
  return {
    name: options.name,
    unit: options.unit,
    ours: options.amount / median(ours),
    theirs: options.amount / median(theirs),
    ratio,
    target: `≥ ${options.atLeast}`,
    met: ratio >= options.atLeast,
  };
};

/** Compares two durations that are measured in pairs. The ratio is ours / theirs; less is better. */
export const compareDurations = async (options: {
  readonly name: string;
  /** Each returns how many milliseconds one run took. */
  readonly ours: () => Promise<number> | number;
  readonly theirs: () => Promise<number> | number;
  readonly atMost: number;
  readonly rounds?: number;
}): Promise<Measure> => {
  const ours: number[] = [];
  const theirs: number[] = [];
  await options.ours();
  await options.theirs();
  for (let round = 0; round < (options.rounds ?? 11); round++) {
    ours.push(await options.ours());
    theirs.push(await options.theirs());
  }
  const ratio = median(ours.map((value, i) => value / theirs[i]!));
  return {
    name: options.name,
    unit: "ms",
    ours: median(ours),
    theirs: median(theirs),
    ratio,
    target: `≤ ${options.atMost}`,
    met: ratio <= options.atMost,
  };
};
