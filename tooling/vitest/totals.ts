import type { ConformanceCheck } from "./conformance.ts";

/** What a test run comes to. */
export interface Totals {
  passed: number;
  /** Failed tests, and files, hooks and stray errors that broke outside a test: what and why, a line each. */
  failures: string[];
  skipped: { test: string; reason: string }[];
  /** The checks of the conformance suite among the tests. */
  conformance: ConformanceCheck[];
}

/** The plain last line of a run: `N passed, N failed`, and the skipped ones only when there are any. */
export function lastLine({ passed, failures, skipped }: Totals): string {
  const line = `${passed} passed, ${failures.length} failed`;
  return skipped.length === 0 ? line : `${line}, ${skipped.length} skipped`;
}

/** Every failure, for the block above the last line: the log before it is long. */
export function failureLines({ failures }: Totals): string[] {
  return failures.map((failure) => `FAILED   ${failure}`);
}

/** Every skipped test with its reason, for the block above the last line. */
export function skippedLines({ skipped }: Totals): string[] {
  return skipped.map(({ test, reason }) => `SKIPPED  ${test}: ${reason}`);
}

/** The sum of several runs. */
export function sum(runs: readonly Totals[]): Totals {
  return {
    passed: runs.reduce((total, run) => total + run.passed, 0),
    failures: runs.flatMap((run) => run.failures),
    skipped: runs.flatMap((run) => run.skipped),
    conformance: runs.flatMap((run) => run.conformance),
  };
}
