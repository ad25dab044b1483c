import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import path from "node:path";
import { isNodeNewEnough, pins, platform } from "./platform.mjs";
import { run, SetupError, timed, toolsFolder } from "./step.mjs";

const node22Folder = path.join(toolsFolder, "node22");

/** @typedef {{ name: string, version: string, integrity: string }} Tool */

/**
 * Brings Node and pnpm into .tools, or takes the Node that runs this and the pnpm on PATH where npm has none.
 *
 * @returns {Promise<{ node: string, pnpm: string }>} Paths of the two programs.
 */
export async function bringTools() {
  const ownNode = isNodeNewEnough(process.version) ? process.execPath : undefined;
  const nodeTool = ownNode === undefined ? pinned("node") : undefined;
  const pnpmTool = pinned("pnpm");
  if (ownNode === undefined && nodeTool === undefined) {
    throw new SetupError(
      `this is Node ${process.version}, and npm has no pinned Node for ${platform}`,
      "Install Node 24.11 or later from https://nodejs.org, put it first on PATH, and run this again.",
    );
  }
  const tools = [nodeTool, pnpmTool].filter((tool) => tool !== undefined);
  await fetchInto(toolsFolder, tools);
  return {
    node: ownNode ?? nodeProgram(toolsFolder, nodeTool),
    pnpm: pnpmTool ? programOf(toolsFolder, pnpmTool, "pnpm") : await pnpmOnPath(),
  };
}

/** Brings Node 22, on which the packages for embedding are tested too. */
export async function bringNode22() {
  const tool = pinned("node22");
  if (tool === undefined) {
    throw new SetupError(`npm has no pinned Node 22 for ${platform}`, "Tests run on Node 24 only.");
  }
  await fetchInto(node22Folder, [tool]);
}

/** Where {@link bringNode22} puts it. */
export function node22Program() {
  return nodeProgram(node22Folder, pinned("node22"));
}

/** @returns {Tool | undefined} */
function pinned(/** @type {"node" | "node22" | "pnpm"} */ what) {
  const found = pins[what].packages[platform];
  return found && { version: pins[what].version, ...found };
}

/** @param {string} folder @param {Tool | undefined} tool */
const nodeProgram = (folder, tool) => programOf(folder, tool, "bin/node");

/** @param {string} folder @param {Tool | undefined} tool @param {string} file */
function programOf(folder, tool, file) {
  const suffix = process.platform === "win32" ? ".exe" : "";
  return path.join(folder, "node_modules", tool?.name ?? "", `${file}${suffix}`);
}

async function pnpmOnPath() {
  const wanted = pins.pnpm.version;
  const pnpm = process.platform === "win32" ? "pnpm.exe" : "pnpm";
  const { status, output } = await run(pnpm, ["--version"]);
  if (status === 0 && output.trim().split(".")[0] === wanted.split(".")[0]) return pnpm;
  throw new SetupError(
    `npm has no pinned pnpm for ${platform}, and there is no pnpm ${wanted.split(".")[0]} on PATH`,
    `Install it with: npm install --global pnpm@${wanted}`,
  );
}

/** Installs tools whose bytes have the pinned hash, unless they are there already. @param {string} folder @param {Tool[]} tools */
export async function fetchInto(folder, tools) {
  if (tools.every((tool) => isThere(folder, tool))) return;
  const names = tools.map((tool) => `${tool.name}@${tool.version}`).join(" and ");
  await timed(`fetching ${names}`, async () => {
    mkdirSync(folder, { recursive: true });
    writeLockFile(folder, tools);
    const [npm, npmArgs] = npmCommand();
    const { status, output } = await run(
      npm,
      // `npm ci` unpacks nothing whose hash differs from the lock file's, which holds our pins and no registry's word.
      [
        ...npmArgs,
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--fetch-retries=2",
        "--fetch-retry-mintimeout=500",
        "--fetch-retry-maxtimeout=3000",
      ],
      { cwd: folder, env: plainEnvironment() },
    );
    if (status !== 0) throw fetchError(names, output);
    const missing = tools.find((tool) => !isThere(folder, tool));
    if (missing) throw fetchError(names, `npm did not install ${missing.name}`);
  });
}

/** True when npm's own record of what it unpacked names the pinned hash. */
function isThere(/** @type {string} */ folder, /** @type {Tool} */ tool) {
  const record = path.join(folder, "node_modules/.package-lock.json");
  if (!existsSync(record)) return false;
  const installed = JSON.parse(readFileSync(record, "utf8")).packages?.[
    `node_modules/${tool.name}`
  ];
  return installed?.integrity === tool.integrity && installed.version === tool.version;
}

function writeLockFile(/** @type {string} */ folder, /** @type {Tool[]} */ tools) {
  const dependencies = Object.fromEntries(tools.map((tool) => [tool.name, tool.version]));
  const manifest = { name: "lango-tools", version: "0.0.0", private: true, dependencies };
  const packages = Object.fromEntries(
    tools.map(({ name, version, integrity }) => [`node_modules/${name}`, { version, integrity }]),
  );
  const lock = { ...manifest, lockfileVersion: 3, requires: true };
  const json = (/** @type {unknown} */ value) => `${JSON.stringify(value, null, 2)}\n`;
  writeFileSync(path.join(folder, "package.json"), json(manifest));
  writeFileSync(
    path.join(folder, "package-lock.json"),
    json({ ...lock, packages: { "": manifest, ...packages } }),
  );
}

/** How to call npm without a shell, which would need quoting: through the Node that runs this. @returns {[string, string[]]} */
export function npmCommand() {
  const beside = path.dirname(realpathSync(process.execPath));
  const candidates = [
    process.env["npm_execpath"] ?? "",
    path.join(beside, "node_modules/npm/bin/npm-cli.js"),
    path.join(beside, "../lib/node_modules/npm/bin/npm-cli.js"),
  ];
  const script = candidates.find((file) => file.endsWith("npm-cli.js") && existsSync(file));
  return script ? [process.execPath, [script]] : ["npm", []];
}

/** The user's environment without what `npm start` adds about this repository; registry and proxy settings stay. */
export function plainEnvironment() {
  const own =
    /^npm_(package|lifecycle|command)|^npm_config_(local_prefix|prefix|global_prefix|node_gyp|npm_version|init_module|user_agent|loglevel)$|^INIT_CWD$|^NODE_ENV$/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !own.test(name)));
}

function fetchError(/** @type {string} */ names, /** @type {string} */ output) {
  const code = /code (E[A-Z0-9_]+)/.exec(output)?.[1];
  const hints = /** @type {Record<string, string>} */ ({
    EINTEGRITY:
      "What the registry sent differs from the SHA-512 in tooling/setup/pins.json. Nothing of it was installed. Clear a damaged cache with `npm cache verify`; if it stays, tell us.",
    E404: "The registry that npm uses does not carry it. See `npm config get registry`, or install Node 24.11 or later yourself.",
  });
  return new SetupError(
    `could not fetch ${names} with npm${code ? ` (${code})` : ""}`,
    hints[code ?? ""] ??
      "Check the network and npm's registry and proxy settings (`npm config list`), then run this again.",
    code ? "" : output,
  );
}
