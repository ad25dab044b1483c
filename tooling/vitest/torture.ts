// What the rigs share: how often they run, and the line that says what they met.

/** Whether the stated counts are wanted, as `npm run torture` does; `npm test` runs a short form of every rig. */
const isFull = process.env["LANGO_TORTURE"] === "full";

export const torture = (usual: number, full: number): number => (isFull ? full : usual);

/** Starts each line that `npm run torture` puts into docs/torture.md. */
export const REPORT_MARK = "torture: ";

/** Prints what a rig did: how many times in all, and how often each outcome came. */
export function report(rig: string, outcomes: ReadonlyMap<string, number>): void {
  const total = [...outcomes.values()].reduce((sum, count) => sum + count, 0);
  const each = [...outcomes].sort().map(([outcome, count]) => `${outcome} ${count}`);
  process.stdout.write(`${REPORT_MARK}${rig} | ${total} | ${each.join(", ")}\n`);
}

/** Counts one more of an outcome, or several. */
export function count(outcomes: Map<string, number>, outcome: string, more = 1): void {
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + more);
}
