import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { type Measure, median } from "./paired.ts";
import { buildSealedVault } from "./rotation-vault.ts";

const ROUNDS = 5;
const CHILD = fileURLToPath(new URL("rotation-child.ts", import.meta.url));

interface Ran {
  readonly rows: number;
  readonly ms: number;
}
interface Bare extends Ran {
  /** The second pass included. */
  readonly withCheckMs: number;
}
interface Rotated extends Ran {
  readonly grewMib: number;
  readonly delayP99Ms: number;
}
interface Written {
  readonly writes: number;
  readonly p99Ms: number;
}

interface Running<T> {
  readonly ready: Promise<void>;
  readonly result: Promise<T>;
  stop(): void;
}

/** Each side in a process of its own: neither inherits the memory and the compiled code of the other. */
const start = <T>(...args: string[]): Running<T> => {
  const child = spawn(process.execPath, [...process.execArgv, "--expose-gc", CHILD, ...args], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const ready = Promise.withResolvers<void>();
  let said = "";
  let complained = "";
  child.stdout.on("data", (chunk) => {
    said += chunk;
  });
  child.stderr.on("data", (chunk) => {
    complained += chunk;
    if (complained.includes("ready\n")) ready.resolve();
  });
  const result = new Promise<T>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(JSON.parse(said) as T);
      else reject(new Error(`rotation-child ${args[0]} ended with ${code}: ${complained}`));
    });
  });
  return { ready: ready.promise, result, stop: () => void child.stdin.end() };
};

const perSecond = ({ rows, ms }: Ran): number => (rows / ms) * 1000;

const below = (name: string, unit: string, ours: number, limit: number): Measure => ({
  ...{ name, unit, ours, theirs: limit, ratio: ours / limit },
  target: "≤ 1",
  met: ours <= limit,
});

/**
 * A whole rotation, with its check, its log and its journal, against a bare loop that opens, seals and updates; then what another
 * process notices of it.
 *
 * @param size - Secrets. Default: 100,000; `run.ts rotation:1000000` asks for more.
 */
export const measureRotation = async (size = "100000"): Promise<Measure[]> => {
  const folder = mkdtempSync(path.join(tmpdir(), "lango-bench-"));
  try {
    const home = path.join(folder, "home");
    await buildSealedVault(home, Number(size));
    const ours: Rotated[] = [];
    const theirs: Bare[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      ours.push(await start<Rotated>("rotate", home).result);
      theirs.push(await start<Bare>("bare", folder, size).result);
    }
    const writer = start<Written>("write", home);
    await writer.ready;
    await start<Rotated>("rotate", home).result;
    writer.stop();
    const { p99Ms } = await writer.result;
    const checked = theirs.map(({ rows, withCheckMs }) => ({ rows, ms: withCheckMs }));
    const against = (name: string, others: readonly Ran[]): Measure => {
      const ratio = median(ours.map((ran, i) => perSecond(ran) / perSecond(others[i]!)));
      return {
        ...{ name, unit: "rows/s", ratio, target: "≥ 0.70", met: ratio >= 0.7 },
        ...{ ours: median(ours.map(perSecond)), theirs: median(others.map(perSecond)) },
      };
    };
    return [
      against(`rotation-of-${size}-vs-bare`, theirs),
      // Both read and open everything twice.
      against(`rotation-of-${size}-vs-bare-with-check`, checked),
      below("rotation-rss-growth", "MiB", median(ours.map(({ grewMib }) => grewMib)), 50),
      below("rotation-loop-delay-p99", "ms", median(ours.map(({ delayP99Ms }) => delayP99Ms)), 10),
      below("rotation-write-of-another-p99", "ms", p99Ms, 10),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
