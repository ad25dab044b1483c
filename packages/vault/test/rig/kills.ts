import { afterAll, expect } from "vitest";
import { count, report, torture } from "../../../../tooling/vitest/torture.ts";
import type { Killed } from "./spawn.ts";

const KILLS = torture(20, 200);
const AT_EACH_STAGE = torture(1, 5);

export interface Kills {
  /** Each kill: at every stage once (5 times in the full count), the rest at random moments of the first `withinMs` ms. */
  kills(stages: readonly string[], withinMs: number): { killAt: string; afterMs?: number }[];
  checkKilled(job: string, killed: Killed, killAt: string): void;
}

/** Counts how often each job was killed after each of its stages, and reports it in the end. */
export const createKills = (jobs: Readonly<Record<string, readonly string[]>>): Kills => {
  const killed = new Map<string, Map<string, number>>(
    Object.keys(jobs).map((job) => [job, new Map()]),
  );
  afterAll(() => {
    for (const [job, stages] of killed) report(`kill -9 of ${job}, after`, stages);
  });
  return {
    kills: (stages, withinMs) => [
      ...Array.from({ length: AT_EACH_STAGE }, () => stages.map((killAt) => ({ killAt }))).flat(),
      ...Array.from({ length: Math.max(0, KILLS - AT_EACH_STAGE * stages.length) }, () => ({
        killAt: "",
        afterMs: Math.random() * withinMs,
      })),
    ],
    checkKilled(job, { stderr, signal, stage }, killAt) {
      expect(stderr).toBe("");
      expect(signal).toBe("SIGKILL");
      if (killAt !== "") expect(stage).toBe(killAt);
      count(killed.get(job) ?? new Map(), stage);
    },
  };
};

export const last = (lines: readonly string[], what: string): number =>
  Number(lines.findLast((line) => line.startsWith(`${what} `))?.split(" ")[1] ?? -1);
