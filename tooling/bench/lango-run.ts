import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { createVault } from "@lango/vault";
import { compareDurations, type Measure, median } from "./paired.ts";
import { secretsFor } from "./scanner-texts.ts";

const cli = fileURLToPath(new URL("../../apps/cli/dist/lango.js", import.meta.url));
const { spawn } = createRequire(cli)("@lydell/node-pty") as {
  spawn(file: string, words: string[], options: object): Pty;
};
interface Pty {
  onData(listener: (data: Uint8Array) => void): { dispose(): void };
  write(data: string): void;
  kill(signal: string): void;
}

const PASSPHRASE = "a passphrase for the benchmark";

/** A vault of `count` secrets that opens without a costly key derivation: the unlock is not what is measured. */
const buildVault = async (home: string, count: number): Promise<void> => {
  const vault = await createVault({
    home,
    credentials: [{ kind: "passphrase", passphrase: new TextEncoder().encode(PASSPHRASE) }],
    kdf: { name: "pbkdf2-sha256", iterations: 1000, salt: new Uint8Array(randomBytes(16)) },
    acceptWeakKdf: true,
  });
  for (const { name, value } of secretsFor(count)) await vault.secrets.set(name, value);
  await vault.close();
};

const timed = (args: readonly string[], env: NodeJS.ProcessEnv): number => {
  const start = process.hrtime.bigint();
  const { status, stderr } = spawnSync(process.execPath, args, { env, stdio: "pipe" });
  if (status !== 0) throw new Error(`node ${args.join(" ")}: exit ${status}: ${stderr}`);
  return Number(process.hrtime.bigint() - start) / 1e6;
};

const KEYS = 300;
const nextData = (terminal: Pty, isIt: (seen: string) => boolean): Promise<void> =>
  new Promise((resolve) => {
    let seen = "";
    const listening = terminal.onData((data) => {
      seen += Buffer.from(data).toString("latin1");
      if (!isIt(seen)) return;
      listening.dispose();
      resolve();
    });
  });

/** Milliseconds from a key to its echo, of each of many keys; the letters begin forms of secrets. */
const echoTimes = async (words: string[], env: NodeJS.ProcessEnv): Promise<number[]> => {
  const terminal = spawn(process.execPath, words, { env, encoding: null, cols: 80, rows: 24 });
  await nextData(terminal, (seen) => seen.includes("ready"));
  const times: number[] = [];
  for (let i = 0; i < KEYS; i++) {
    const start = performance.now();
    const echo = nextData(terminal, (seen) => seen.length > 0);
    terminal.write(i % 40 === 39 ? "\r" : String.fromCharCode(0x61 + (i % 26)));
    await echo;
    times.push(performance.now() - start);
  }
  terminal.kill("SIGKILL");
  return times;
};
const ECHO = ["sh", "-c", "echo ready; exec cat > /dev/null"];
const DIRECT = [
  "-e",
  `require("node:child_process").spawnSync("sh", ["-c", ${JSON.stringify(ECHO[2])}], { stdio: "inherit" })`,
];

/** Starting a command, and what its terminal costs. */
export const measureRun = async (): Promise<Measure[]> => {
  const folder = mkdtempSync(path.join(tmpdir(), "lango-bench-"));
  try {
    const keyfile = path.join(folder, "keyfile");
    writeFileSync(keyfile, PASSPHRASE, { mode: 0o600 });
    const measures: Measure[] = [];
    for (const [count, atMost] of [
      [100, 3],
      [10_000, 5],
    ] as const) {
      const home = path.join(folder, String(count));
      await buildVault(home, count);
      const env = { ...process.env, LANGO_HOME: home, LANGO_KEYFILE: keyfile };
      measures.push(
        await compareDurations({
          name: `lango-run-true-${count}-secrets-vs-node`,
          ours: () => timed([cli, "run", "--", "true"], env),
          theirs: () => timed(["-e", "0"], env),
          atMost,
          rounds: 15,
        }),
      );
      const ours = median(await echoTimes([cli, "run", "--", ...ECHO], env));
      const theirs = median(await echoTimes(DIRECT, env));
      measures.push({
        name: `lango-run-echo-${count}-secrets`,
        unit: "ms",
        ours,
        theirs,
        ratio: ours - theirs,
        target: "≤ 1 ms added",
        met: ours - theirs <= 1,
      });
    }
    return measures;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
