import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export const script = (name: string): string =>
  fileURLToPath(new URL(`./${name}.ts`, import.meta.url));

/** The arguments of Node that run a script of this folder. */
export const fromSources = (name: string, args: readonly string[]): string[] => [
  "--conditions=@lango/source",
  "--disable-warning=ExperimentalWarning",
  script(name),
  ...args,
];

export interface Killed {
  /** What it said, line by line, up to its death. */
  readonly lines: readonly string[];
  /** The last stage that it reached; `none` before the first. */
  readonly stage: string;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** Runs a child from the sources, kills it after a time or lets it kill itself, and returns what it said. */
export const runAndKill = (
  args: readonly string[],
  options: { readonly afterMs?: number; readonly env?: Record<string, string> } = {},
): Promise<Killed> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, fromSources("child", args), {
      stdio: ["ignore", "ignore", "pipe", "pipe"],
      env: { ...process.env, ...options.env },
    });
    let said = "";
    let stderr = "";
    let timer: NodeJS.Timeout | undefined;
    child.stderr?.on("data", (chunk) => {
      stderr += chunk;
    });
    child.stdio[3]?.on("data", (chunk: Buffer) => {
      said += chunk;
      // The clock starts when the work does: starting Node takes longer than any stage.
      if (options.afterMs === undefined || timer) return;
      timer = setTimeout(() => child.kill("SIGKILL"), options.afterMs);
    });
    child.on("error", reject);
    child.on("close", (_code, signal) => {
      clearTimeout(timer);
      const lines = said.split("\n").slice(0, -1);
      const stage = lines.findLast((line) => line.startsWith("stage "))?.slice(6) ?? "none";
      resolve({ lines, stage, signal, stderr });
    });
  });

/** Runs a script of this folder to its end. */
export const runScript = (
  name: string,
  ...args: readonly string[]
): Promise<{ readonly status: number | null; readonly output: string }> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, fromSources(name, args), {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        output += chunk;
      });
    }
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, output }));
  });
