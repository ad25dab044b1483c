import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { CryptoErrorCode } from "@lango/crypto-core";
import { expect } from "vitest";
import { count, report, torture } from "../../../../tooling/vitest/torture.ts";
import { bytes, text } from "../helpers.ts";
import { script } from "./spawn.ts";
import { create, open } from "./work.ts";

/** What one process did. */
export interface RotationReport {
  /** The last value of each name that it wrote. */
  readonly written: Record<string, string>;
  increments: number;
  conflicts: number;
  reads: number;
  rotations: number;
  /** Retryable errors that it met, by code. */
  readonly retried: Partial<Record<CryptoErrorCode, number>>;
}

const WRITERS = 8;
const READERS = 8;
const DURATION_MS = torture(5_000, 60_000);

const run = promisify(execFile);

const start = async (role: string, home: string, number: number): Promise<RotationReport> => {
  const args = [
    "--conditions=@lango/source",
    "--disable-warning=ExperimentalWarning",
    script("rotation-process"),
  ];
  const { stdout } = await run(process.execPath, [
    ...args,
    ...[role, home, `${number}`, `${DURATION_MS}`],
  ]);
  return JSON.parse(stdout) as RotationReport;
};

const times = (length: number, role: string, home: string): Promise<RotationReport>[] =>
  Array.from({ length }, (_, number) => start(role, home, number));

/**
 * 8 processes that write, 8 that read and one that rotates, on one vault: nothing is lost, and every error was a retryable one.
 * Which store it is, `open` and `create` of `work.ts` find out by the home and the environment.
 *
 * @param store - For the report.
 */
export const rotateUnderLoad = async (home: string, store: string): Promise<void> => {
  const first = await create(home);
  await first.secrets.set("shared", bytes("0"));
  await first.close();
  const reports = await Promise.all([
    ...times(WRITERS, "write", home),
    ...times(READERS, "read", home),
    ...times(1, "rotate", home),
  ]);

  const vault = await open(home);
  const sum = (of: (report: RotationReport) => number): number =>
    reports.reduce((total, each) => total + of(each), 0);
  const written = Object.assign({}, ...reports.map((each) => each.written));
  for (const [name, value] of Object.entries(written)) {
    expect(text((await vault.secrets.get(name)).value), name).toBe(value);
  }
  const increments = sum((each) => each.increments);
  expect(text((await vault.secrets.get("shared")).value)).toBe(String(increments));
  // On a busy machine some of them get no turn.
  expect(Object.keys(written).length).toBeGreaterThan(0);
  expect(sum(({ reads }) => reads)).toBeGreaterThan(0);
  const rotations = sum((each) => each.rotations);
  expect(rotations).toBeGreaterThan(0);
  expect(await vault.rotation.status()).toBeUndefined();
  const states = (await vault.dataKeys.list()).map(({ state }) => state);
  expect(states.filter((state) => state === "active")).toHaveLength(1);
  expect(states.filter((state) => state === "retired")).toHaveLength(rotations);
  expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
  await vault.close();

  const outcomes = new Map<string, number>([
    ["increments", increments],
    ["conflicts", sum(({ conflicts }) => conflicts)],
    ["reads", sum(({ reads }) => reads)],
    ["rotations", rotations],
  ]);
  for (const { retried } of reports) {
    for (const [code, many = 0] of Object.entries(retried)) {
      for (let i = 0; i < many; i += 1) count(outcomes, `${code} retried`);
    }
  }
  report(
    `${WRITERS} writers, ${READERS} readers and rotations on ${store} for ${DURATION_MS / 1000} s: operations`,
    outcomes,
  );
};
