import { readdirSync, readFileSync } from "node:fs";

/** A process as Linux shows it in `/proc/PID/stat` (proc_pid_stat(5)). */
export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  /** Device number of its terminal; 0: none. */
  readonly terminal: number;
  /** When it started, in clock ticks since the start of the machine. */
  readonly startedAt: string;
}

/** One process; `undefined` when it is not there, or this is not Linux. */
export const processInfo = (pid: number | "self"): ProcessInfo | undefined => {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // The name in the second field may hold spaces and brackets: count from the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [parent, terminal, startedAt] = [fields[1], fields[4], fields[19]];
  if (parent === undefined || terminal === undefined || startedAt === undefined) return undefined;
  return {
    pid: Number.parseInt(stat, 10),
    parent: Number(parent),
    terminal: Number(terminal),
    startedAt,
  };
};

/** Device number of this process's terminal, which `/dev/tty` is; 0: none, or not known here. */
export const ownTerminal = (): number => processInfo("self")?.terminal ?? 0;

/** All processes; empty where this is not Linux. */
export const allProcesses = (): readonly ProcessInfo[] => {
  let names: string[];
  try {
    names = readdirSync("/proc");
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    const info = /^[0-9]+$/.test(name) ? processInfo(Number(name)) : undefined;
    return info === undefined ? [] : [info];
  });
};

/** A process and those above it, from below; without the first one of the machine, which is above all. */
export const lineageOf = (pid: number): readonly ProcessInfo[] => {
  const lineage: ProcessInfo[] = [];
  for (let next = pid; next > 1; ) {
    const info = processInfo(next);
    // A number that was given to another process meanwhile could make a circle.
    if (info === undefined || lineage.some((seen) => seen.pid === info.pid)) break;
    lineage.push(info);
    next = info.parent;
  }
  return lineage;
};

/**
 * What tells a process from every other one, also after its number was given to another, and after the machine was started
 * again: `linux:BOOT:PID:START`. `undefined` where this cannot be told.
 */
export const identityOf = ({ pid, startedAt }: ProcessInfo): string | undefined => {
  const boot = bootId();
  return boot === undefined ? undefined : `linux:${boot}:${pid}:${startedAt}`;
};

/** Identities of a process and of those above it. */
export const identitiesFrom = (pid: number): readonly string[] =>
  lineageOf(pid).flatMap((info) => identityOf(info) ?? []);

const bootId = (): string | undefined => {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return undefined;
  }
};

/**
 * Whether a terminal is out of reach of the one that asks: it is the terminal of no process in the requester's tree. That tree
 * is the requester, all below it, and those above it, up to this process where this is one of them (the requester is then its
 * child, as under `lango run`). False where this cannot be told.
 *
 * @param terminal - Device number.
 */
export const isTerminalApart = (terminal: number, requester: number): boolean => {
  const lineage = requester > 1 ? lineageOf(requester) : [];
  const processes = allProcesses();
  if (terminal === 0 || lineage.length === 0 || processes.length === 0) return false;
  const self = lineage.findIndex(({ pid }) => pid === process.pid);
  if (self === 0) return false;
  const above = self < 0 ? lineage : lineage.slice(0, self);
  const tree = new Set(above.map(({ pid }) => pid));
  const below = new Set([requester]);
  for (let found = true; found; ) {
    found = false;
    for (const { pid, parent } of processes) {
      if (below.has(pid) || !below.has(parent)) continue;
      below.add(pid);
      found = true;
    }
  }
  return !processes.some(
    (info) => info.terminal === terminal && (tree.has(info.pid) || below.has(info.pid)),
  );
};
