// Everything from a fresh clone: node tooling/setup/bootstrap.mjs COMMAND, which the scripts of package.json call.
// No dependencies, and it runs on Node 18: it fetches the Node, the pnpm and the packages that the rest needs.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { build, buildNative, installDependencies, toolProgram } from "./build.mjs";
import { root, runVisibly, SetupError, toolsFolder } from "./step.mjs";
import { bringTools, plainEnvironment } from "./tools.mjs";

const [command = "", ...args] = process.argv.slice(2);

/** What each command runs after the build: [arguments of Node, extra environment]. @type {Record<string, () => [string[], NodeJS.ProcessEnv]>} */
const commands = {
  start: () => [["tooling/setup/first-run.mjs", ...args], {}],
  test: () => [["tooling/setup/run-tests.ts", ...args], {}],
  "test:pkcs11": () => [["tooling/setup/test-pkcs11.ts", ...args], {}],
  build: () => [[], {}],
  check: () => [vitest("--project", "checks"), {}],
  bench: () => [["tooling/bench/run.ts", ...args], {}],
  torture: () => [["tooling/setup/torture.ts", ...args], {}],
  format: () => [[toolProgram("@biomejs/biome"), "check", "--write", ...args], {}],
  changeset: () => [[toolProgram("@changesets/cli"), ...args], {}],
};

function vitest(/** @type {string[]} */ ...own) {
  return [toolProgram("vitest"), "run", "--config", "vitest.workspace.ts", ...own, ...args];
}

async function main() {
  const then = commands[command];
  if (then === undefined) {
    throw new SetupError(
      `there is no command "${command}"`,
      `Known: ${Object.keys(commands).join(", ")}.`,
    );
  }
  const { node, pnpm } = await bringTools();
  const folders = [node, pnpm].filter(path.isAbsolute).map((program) => path.dirname(program));
  const env = {
    ...plainEnvironment(),
    PATH: [...folders, process.env["PATH"]].join(path.delimiter),
  };
  await installDependencies(pnpm, env);
  await buildNative(node);
  await build(node);
  writeNodePath(node);
  const [nodeArgs, extra] = then();
  return nodeArgs.length === 0 ? 0 : runVisibly(node, nodeArgs, { ...env, ...extra });
}

/** The launcher `lango` reads this file: it must start before any Node does. */
function writeNodePath(/** @type {string} */ node) {
  const file = path.join(toolsFolder, "node-path");
  mkdirSync(toolsFolder, { recursive: true });
  try {
    if (readFileSync(file, "utf8") === `${node}\n`) return;
  } catch {
    // Not written yet.
  }
  writeFileSync(file, `${node}\n`);
}

try {
  process.chdir(root);
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  if (error.output) process.stderr.write(`${error.output.trimEnd()}\n\n`);
  process.stderr.write(`lango: ${error.message}\n       ${error.hint}\n`);
  // A test run that could not even start is a failed one, and says so where scripts look for it.
  if (command === "test" || command === "check") process.stdout.write("0 passed, 1 failed\n");
  process.exitCode = 1;
}
