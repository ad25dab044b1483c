// What `npm start` ends in: with a terminal the user's own vault, without one a tour in a temporary home.
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { root } from "./step.mjs";

const program = path.join(root, "apps/cli/dist/lango.js");
const say = (/** @type {string} */ text) => process.stdout.write(`${text}\n`);

process.exitCode = process.stdin.isTTY && process.stderr.isTTY ? ownVault() : tour();

/** Onboards once; afterwards shows the status of the vault that is there. */
function ownVault() {
  const home = process.env["LANGO_HOME"] ?? path.join(homedir(), ".lango");
  const status = lango(
    existsSync(path.join(home, "keyslots.json")) ? ["security", "status"] : ["onboard"],
  );
  if (status === 0) {
    say("\nNext, for example:");
    say("  ./lango security secrets set demo/api-key");
    say("  ./lango run --env API_KEY=demo/api-key -- your-program");
    say("  ./lango --help");
  }
  return status;
}

/** The commands of the README, one after the other, with a vault of their own. */
function tour() {
  const home = mkdtempSync(path.join(tmpdir(), "lango-first-run-"));
  const keyfile = path.join(home, "passphrase");
  writeFileSync(keyfile, `${randomBytes(24).toString("base64url")}\n`, { mode: 0o600 });
  const env = { LANGO_HOME: home };
  const secret = `demo-${randomBytes(12).toString("hex")}`;
  say(
    "No terminal here: a first run in a temporary home, with a random passphrase in a keyfile.\n",
  );
  say(`$ export LANGO_HOME=${quoted(home)}`);
  const useIt = 'console.log("the child got", process.env.API_KEY.length, "characters")';
  /** @type {[string[], string?][]} */
  const steps = [
    [["onboard", "--no-input"]],
    [["security", "secrets", "set", "demo/api-key"], secret],
    [["security", "secrets", "list"]],
    [["security", "status"]],
    [["run", "--env", "API_KEY=demo/api-key", "--", "node", "-e", useIt]],
    [["run", "--env", "API_KEY=demo/api-key", "--", "sh", "-c", "echo it is $API_KEY"]],
    [["audit", "verify"]],
  ];
  for (const [args, input] of steps) {
    say(`${input === undefined ? "$" : "$ make-a-key |"} ./lango ${args.map(quoted).join(" ")}`);
    const status = lango(args, env, input);
    if (status === 0) continue;
    say(`\nlango ${args[0]} ended with exit status ${status}.`);
    rmSync(home, { recursive: true, force: true });
    return status;
  }
  say(`\nThe vault is in ${home}; delete the folder when you have seen enough. Your own vault:`);
  say("  ./lango onboard");
  return 0;
}

/** @param {string[]} args @param {NodeJS.ProcessEnv} [env] @param {string} [input] */
function lango(args, env = {}, input) {
  const { status, error } = spawnSync(process.execPath, [program, ...args], {
    stdio: [input === undefined ? "inherit" : "pipe", "inherit", "inherit"],
    env: { ...process.env, ...env },
    ...(input !== undefined && { input }),
  });
  if (error) throw error;
  return status ?? 1;
}

/** As one would type it in a shell. */
function quoted(/** @type {string} */ word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
