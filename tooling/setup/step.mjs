import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.resolve(fileURLToPath(import.meta.url), "../../..");
export const toolsFolder = path.join(root, ".tools");

/** A failure that the user can mend: one line that says what failed, one that says what to do. */
export class SetupError extends Error {
  /** @param {string} message @param {string} hint @param {string} [output] */
  constructor(message, hint, output = "") {
    super(message);
    this.hint = hint;
    this.output = output;
  }
}

/** Says what was done and how long it took; steps that had nothing to do say nothing. */
export async function timed(
  /** @type {string} */ label,
  /** @type {() => Promise<unknown>} */ run,
) {
  const started = performance.now();
  process.stderr.write(`lango: ${label} … `);
  try {
    await run();
    process.stderr.write(`${((performance.now() - started) / 1000).toFixed(1)} s\n`);
  } catch (error) {
    process.stderr.write("failed\n");
    throw error;
  }
}

/**
 * Runs a program quietly and resolves with its exit status and its output.
 *
 * @param {string} file @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<{ status: number, output: string }>}
 */
export function run(file, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(file, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], ...options });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("error", (error) => resolve({ status: 127, output: `${output}${error.message}\n` }));
    child.on("close", (code, signal) => {
      resolve({ status: code ?? 1, output: signal ? `${output}ended by ${signal}\n` : output });
    });
  });
}

/** Runs a program on the user's terminal and resolves with its exit status. */
export function runVisibly(
  /** @type {string} */ file,
  /** @type {string[]} */ args,
  /** @type {NodeJS.ProcessEnv} */ env,
) {
  // Ctrl-C reaches the program too; it decides what to do, and this one waits for it.
  process.on("SIGINT", () => {});
  return new Promise((resolve) => {
    const child = spawn(file, args, { cwd: root, stdio: "inherit", env });
    child.on("error", (error) => {
      process.stderr.write(`lango: ${error.message}\n`);
      resolve(127);
    });
    child.on("close", (code) => resolve(code ?? 1));
  });
}

/** One hash over files and folders; a path that is not there counts as such. */
export function hashOf(/** @type {string[]} */ paths) {
  // The place of the checkout takes part: a moved or shared .tools must not pass for this one's.
  const hash = createHash("sha256").update(root);
  for (const file of paths.flatMap((entry) => filesUnder(path.resolve(root, entry))).sort()) {
    hash
      .update(`\0${path.relative(root, file)}\0`)
      .update(existsSync(file) ? readFileSync(file) : "absent");
  }
  return hash.digest("hex");
}

/** Whether a step was done for exactly these inputs; `done` marks it. */
export function stamp(/** @type {string} */ name, /** @type {string} */ hash) {
  const file = path.join(toolsFolder, "stamps", name);
  return {
    isDone: () => existsSync(file) && readFileSync(file, "utf8") === hash,
    done: () => {
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, hash);
    },
  };
}

/** @returns {string[]} */
function filesUnder(/** @type {string} */ entry) {
  try {
    return readdirSync(entry, { withFileTypes: true }).flatMap((found) =>
      found.isDirectory()
        ? filesUnder(path.join(entry, found.name))
        : [path.join(entry, found.name)],
    );
  } catch {
    return [entry];
  }
}
