import { readFileSync, writeFileSync } from "node:fs";

const CORE_FILTER = "/proc/self/coredump_filter";

/** What this process was started with, which belongs to its children as well. */
let inherited: { umask?: number; coreFilter?: string } = {};

/** Makes every file that this process creates its user's alone. */
export function restrictFiles(): void {
  inherited = { ...inherited, umask: process.umask(0o077) };
}

/**
 * Keeps secrets of this process out of core files, of the debugger that SIGUSR1 would start, and of diagnostic reports.
 * Called before the first secret is read. The launcher does the same with `ulimit -c 0` and options of Node; this is for
 * a lango that was started in another way.
 */
export function hardenProcess(): void {
  process.on("SIGUSR1", () => {});
  process.report.excludeEnv = true;
  try {
    const coreFilter = readFileSync(CORE_FILTER, "utf8").trim();
    // No kind of memory mapping goes into a core file (man 5 core).
    writeFileSync(CORE_FILTER, "0");
    inherited = { ...inherited, coreFilter: `0x${coreFilter}` };
  } catch {
    // Not Linux: the launcher's limit has to do.
  }
}

/** Starts a child process with what this one was started with, not with what it has set for itself. */
export function asInherited<T>(start: () => T): T {
  const { umask, coreFilter } = inherited;
  const own = umask === undefined ? undefined : process.umask(umask);
  if (coreFilter !== undefined) {
    writeFileSync(CORE_FILTER, coreFilter);
  }
  try {
    return start();
  } finally {
    if (own !== undefined) {
      process.umask(own);
    }
    if (coreFilter !== undefined) {
      writeFileSync(CORE_FILTER, "0");
    }
  }
}
