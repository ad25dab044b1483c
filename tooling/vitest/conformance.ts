import type { Service } from "../services/service.ts";

/** One check of the conformance suite that a run made. */
export interface ConformanceCheck {
  /** `<provider> on <server>`, or the provider alone where there is no server. */
  readonly subject: string;
  /** Major version of the Node that ran it, such as `24`. */
  readonly node: string;
  readonly name: string;
  readonly passed: boolean;
  /** What is wrong with the server: the check passed because, as expected, it failed. */
  readonly serverFault?: string;
}

// A stand-in that was written here agrees with the provider by birth.
const NOT_COUNTED = "(own, not counted)";

/** The table of what was checked on which server, with every check that a server fails by its own fault. */
export function conformanceLines(
  checks: readonly ConformanceCheck[],
  thisNode: string = process.versions.node,
): string[] {
  const lines: string[] = [];
  for (const run of runsOf(checks)) {
    const [{ subject, node }] = run;
    const passed = run.filter((check) => check.passed);
    const faults = run.filter((check) => check.serverFault !== undefined);
    const mark = node === major(thisNode) ? "" : ` (Node ${node})`;
    const parts = [`${run.length} run`, `${passed.length} passed`];
    if (passed.length < run.length) parts.push(`${run.length - passed.length} failed`);
    if (faults.length === 1) parts.push("of which 1 is a fault of the server");
    if (faults.length > 1) parts.push(`of which ${faults.length} are faults of the server`);
    lines.push(`CONFORMANCE  ${subject}${mark}: ${parts.join(", ")}`);
    lines.push(...faultLines(faults, checks));
  }
  return lines;
}

/** A line for each thing that is wrong with a server, and one for each check that no other server shows to be right. */
function faultLines(
  faults: readonly ConformanceCheck[],
  checks: readonly ConformanceCheck[],
): string[] {
  const counts = new Map<string, number>();
  const nowhere: string[] = [];
  for (const fault of faults) {
    const shown = shownOn(fault, checks);
    if (shown === undefined) {
      nowhere.push(`  fault, shown nowhere: ${fault.name}: ${fault.serverFault}`);
    } else {
      const line = `${fault.serverFault} (passed on ${shown})`;
      counts.set(line, (counts.get(line) ?? 0) + 1);
    }
  }
  const shown = [...counts].map(
    ([line, count]) => `  fault in ${count === 1 ? "1 check" : `${count} checks`}: ${line}`,
  );
  return [...shown, ...nowhere];
}

/** Subjects that have to be checked where every service is required, and were not. */
export function unchecked(
  checks: readonly ConformanceCheck[],
  services: readonly Pick<Service, "conformance" | "optional">[],
): string[] {
  const required = services.flatMap(({ conformance, optional }) =>
    conformance === undefined || optional === true ? [] : [conformance],
  );
  return required.filter((subject) => checks.every((check) => check.subject !== subject));
}

/** Major version of a Node, as {@link ConformanceCheck.node} has it. */
export const major = (version: string): string => version.split(".")[0] ?? version;

type Run = [ConformanceCheck, ...ConformanceCheck[]];

/** The checks by subject and Node, in the order in which they came. */
function runsOf(checks: readonly ConformanceCheck[]): Run[] {
  const runs = new Map<string, Run>();
  for (const check of checks) {
    const key = `${check.node} ${check.subject}`;
    const run = runs.get(key);
    if (run === undefined) runs.set(key, [check]);
    else run.push(check);
  }
  return [...runs.values()];
}

/** Another server of the same provider, not one of ours, on which this check passes: then the provider is right. */
function shownOn(fault: ConformanceCheck, checks: readonly ConformanceCheck[]): string | undefined {
  return checks.find(
    (check) =>
      check.name === fault.name &&
      check.node === fault.node &&
      check.passed &&
      check.serverFault === undefined &&
      !check.subject.endsWith(NOT_COUNTED) &&
      providerOf(check.subject) === providerOf(fault.subject),
  )?.subject;
}

const providerOf = (subject: string): string | undefined => subject.split(" on ")[0];
