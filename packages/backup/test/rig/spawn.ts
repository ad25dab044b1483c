import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const CHILD = fileURLToPath(new URL("child.ts", import.meta.url));

/** Starts a child from the sources. `lines` grows while it works. */
export const start = (args: readonly string[]): { child: ChildProcess; lines: string[] } => {
  const node = ["--conditions=@lango/source", "--disable-warning=ExperimentalWarning", CHILD];
  const child = spawn(process.execPath, [...node, ...args], {
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  let rest = "";
  child.stdio[3]?.on("data", (chunk: Buffer) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
  });
  return { child, lines };
};

export interface Killed {
  readonly lines: readonly string[];
  /** The last stage that it reached; `none` before the first. */
  readonly stage: string;
  readonly stderr: string;
  readonly signal: NodeJS.Signals | null;
}

/** Runs a child that kills itself at a stage, or is killed some time after it has begun to work. */
export const runAndKill = (args: readonly string[], afterMs: number | undefined): Promise<Killed> =>
  new Promise((resolve, reject) => {
    const { child, lines } = start(args);
    let stderr = "";
    let timer: NodeJS.Timeout | undefined;
    child.stderr?.on("data", (chunk) => {
      stderr += chunk;
    });
    child.stdio[3]?.once("data", () => {
      if (afterMs !== undefined) timer = setTimeout(() => child.kill("SIGKILL"), afterMs);
    });
    child.on("error", reject);
    child.on("close", (_code, signal) => {
      clearTimeout(timer);
      const stage = lines.findLast((line) => line.startsWith("stage "))?.slice(6) ?? "none";
      resolve({ lines, stage, stderr, signal });
    });
  });
