import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { compareDurations, type Measure } from "./paired.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const cli = path.join(root, "apps/cli/dist/lango.js");
const core = new URL("../../packages/crypto-core/dist/index.js", import.meta.url).href;

const run = (args: readonly string[], env: NodeJS.ProcessEnv = process.env): number => {
  const start = process.hrtime.bigint();
  const child = spawnSync(process.execPath, args, { env, stdio: ["ignore", "ignore", "pipe"] });
  const elapsed = Number(process.hrtime.bigint() - start) / 1e6;
  if (child.status !== 0)
    throw new Error(`node ${args.join(" ")}: exit ${child.status}: ${child.stderr}`);
  return elapsed;
};

const nothing = () => run(["-e", "0"]);

/** Whole processes, from start to exit, against a Node that does nothing. */
export const measureStartup = async (): Promise<Measure[]> => {
  const home = mkdtempSync(path.join(tmpdir(), "lango-bench-"));
  try {
    const keyfile = path.join(home, "keyfile");
    writeFileSync(keyfile, "a passphrase for the benchmark\n", { mode: 0o600 });
    const env = { ...process.env, LANGO_HOME: path.join(home, "home"), LANGO_KEYFILE: keyfile };
    run([cli, "onboard", "--no-input"], env);
    const rounds = 25;
    return [
      await compareDurations({
        name: "lango-version-vs-node",
        ours: () => run([cli, "--version"], env),
        theirs: nothing,
        atMost: 1.5,
        rounds,
      }),
      await compareDurations({
        name: "lango-security-status-vs-node",
        ours: () => run([cli, "security", "status"], env),
        theirs: nothing,
        atMost: 2.5,
        rounds,
      }),
      await importCost(rounds),
    ];
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
};

/** What `import("@lango/crypto-core")` adds, in milliseconds, measured inside the process that imports it. */
const importCost = async (rounds: number): Promise<Measure> => {
  const script = `const a = performance.now(); await import(${JSON.stringify(core)}); console.log(performance.now() - a);`;
  const cost = () => {
    const child = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      encoding: "utf8",
    });
    return Number(child.stdout);
  };
  const base = await compareDurations({ name: "", ours: cost, theirs: nothing, atMost: 0, rounds });
  return {
    ...base,
    name: "import-crypto-core-ms",
    ratio: base.ours,
    target: "≤ 5 ms",
    met: base.ours <= 5,
  };
};
