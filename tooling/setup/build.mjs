import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { cpus, tmpdir } from "node:os";
import path from "node:path";
import { hashOf, root, run, SetupError, stamp, timed } from "./step.mjs";
import { npmCommand, plainEnvironment } from "./tools.mjs";

/** Folders of the workspace that hold a package, such as `packages/envelope`. */
export function packageFolders(groups = ["packages", "apps"]) {
  return groups.flatMap((group) =>
    readdirSync(path.join(root, group))
      .map((name) => `${group}/${name}`)
      .filter((folder) => existsSync(path.join(root, folder, "package.json"))),
  );
}

/** The program of a development dependency of the root, without the shell wrapper of node_modules/.bin. */
export function toolProgram(/** @type {string} */ name) {
  const folder = path.join(root, "node_modules", name);
  const { bin } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8"));
  const [first] = typeof bin === "string" ? [bin] : Object.values(bin);
  return path.join(folder, first);
}

/** Installs exactly what pnpm-lock.yaml names; no install script runs. @param {string} pnpm @param {NodeJS.ProcessEnv} env */
export async function installDependencies(pnpm, env) {
  const manifests = packageFolders(["packages", "apps", "tooling"]).map(
    (folder) => `${folder}/package.json`,
  );
  const inputs = ["package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml", ...manifests];
  const mark = stamp("install", hashOf(inputs));
  if (mark.isDone() && existsSync(path.join(root, "node_modules/.modules.yaml"))) return;
  await timed("installing dependencies from pnpm-lock.yaml", async () => {
    const { status, output } = await run(
      pnpm,
      ["install", "--frozen-lockfile", "--ignore-scripts"],
      // CI: pnpm may replace an outdated node_modules without asking.
      { env: { ...env, CI: "true" } },
    );
    if (status !== 0) {
      throw new SetupError(
        "pnpm could not install the dependencies",
        "Its own words are above. With a network problem, check npm's registry and proxy settings, then run this again.",
        output,
      );
    }
  });
  mark.done();
}

const pkcs11js = path.join(root, "packages/crypto-pkcs11/node_modules/pkcs11js");
const pkcs11Addon = path.join(pkcs11js, "build/Release/pkcs11.node");

/**
 * Compiles pkcs11js, the one native package without ready binaries, where that can be done. Everything but PKCS#11 works
 * without it, so a failure is one line, and the next run tries again.
 */
export async function buildNative(/** @type {string} */ node) {
  const mark = stamp("native", hashOf([`${pkcs11js}/package.json`]));
  if (mark.isDone() && existsSync(pkcs11Addon)) return;
  const failure = await compile(node);
  if (failure === undefined) return mark.done();
  process.stderr.write(
    `lango: PKCS#11 WILL NOT WORK, everything else does: pkcs11js was not compiled (${failure})\n`,
  );
}

/** Why it did not work, if it did not. @returns {Promise<string | undefined>} */
async function compile(/** @type {string} */ node) {
  const nodeFolder = path.dirname(path.dirname(realpathSync(node)));
  // Without them node-gyp would fetch some from the network.
  if (!existsSync(`${nodeFolder}/include/node/node_api.h`)) return "this Node has no headers";
  const gyp = nodeGyp();
  if (gyp === undefined) return "there is no npm, which has node-gyp";
  // make cannot cope with a space in the path of the headers, which the checkout may have.
  const folder = mkdtempSync(path.join(tmpdir(), "lango-node-"));
  const headers = path.join(folder, "node");
  symlinkSync(nodeFolder, headers, "junction");
  let output = "";
  try {
    await timed("compiling pkcs11js", async () => {
      const args = [gyp, "rebuild", `--nodedir=${headers}`];
      ({ output } = await run(node, args, { cwd: pkcs11js, env: plainEnvironment() }));
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  if (existsSync(pkcs11Addon)) return undefined;
  const [, error] = /gyp ERR! stack Error: (.+)/.exec(output) ?? [];
  return `it needs Python 3, make and a C++ compiler; node-gyp said: ${error ?? "nothing"}`;
}

/** The node-gyp that every npm brings. */
function nodeGyp() {
  const [, [script = ""]] = npmCommand();
  const onPath = (process.env["PATH"] ?? "")
    .split(path.delimiter)
    .map((folder) => path.join(folder, "npm"))
    .filter((file) => existsSync(file))
    .map((file) => realpathSync(file));
  return [script, ...onPath]
    .map((file) => path.join(path.dirname(file), "../node_modules/node-gyp/bin/node-gyp.js"))
    .find((file) => existsSync(file));
}

/** Declarations by `tsc -b`, then one bundle for each package whose sources changed. */
export async function build(/** @type {string} */ node) {
  const folders = packageFolders().filter((folder) =>
    existsSync(`${root}/${folder}/tsup.config.ts`),
  );
  const common = ["pnpm-lock.yaml", "tooling/tsup.ts", "tooling/tsconfig"];
  const partsOf = (/** @type {string} */ folder) =>
    ["src", "package.json", "tsconfig.json", "tsup.config.ts"].map((part) => `${folder}/${part}`);
  const everything = [...common, ...packageFolders().flatMap(partsOf)];
  const jobs = folders.map((folder) => {
    // A library leaves the other packages outside its bundle; an app takes them in.
    const inputs = folder.startsWith("apps/") ? everything : [...common, ...partsOf(folder)];
    return { folder, mark: stamp(`build-${path.basename(folder)}`, hashOf(inputs)) };
  });
  const hasOutput = (/** @type {string} */ folder) =>
    readdirIfThere(`${root}/${folder}/dist`).some((file) => file.endsWith(".js"));
  const due = jobs.filter(({ folder, mark }) => !(mark.isDone() && hasOutput(folder)));
  const types = stamp("types", hashOf(everything));
  if (due.length === 0 && types.isDone()) return;
  await timed("building", async () => {
    await declarations(node);
    types.done();
    await inParallel(due, ({ folder, mark }) => bundle(node, folder, mark));
  });
}

async function declarations(/** @type {string} */ node) {
  const projects = packageFolders().map((folder) => `${folder}/tsconfig.json`);
  await must(node, [toolProgram("typescript"), "-b", ...projects], root, "the types do not fit");
}

/** @param {string} node @param {string} folder @param {{ done: () => void }} mark */
async function bundle(node, folder, mark) {
  await must(node, [toolProgram("tsup")], path.join(root, folder), `could not build ${folder}`);
  mark.done();
}

/** @param {string} node @param {string[]} args @param {string} cwd @param {string} failure */
async function must(node, args, cwd, failure) {
  const { status, output } = await run(node, args, { cwd, env: plainEnvironment() });
  if (status === 0) return;
  throw new SetupError(failure, "Mend what is named above, then run this again.", output);
}

/** @template T @param {T[]} jobs @param {(job: T) => Promise<void>} work */
async function inParallel(jobs, work) {
  const queue = [...jobs];
  const worker = async () => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) await work(job);
  };
  await Promise.all(Array.from({ length: Math.max(2, cpus().length) }, worker));
}

function readdirIfThere(/** @type {string} */ folder) {
  return existsSync(folder) ? readdirSync(folder) : [];
}
