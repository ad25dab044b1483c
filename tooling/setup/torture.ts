// `npm run torture`: every rig at its stated count, the longest ago first; what they met goes into docs/torture.md after
// each test file, so that a run may be stopped and the next one goes on. With arguments, only the files whose path has
// one of them.
import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import path from "node:path";
import { REPORT_MARK } from "../vitest/torture.ts";
import { packageFolders, toolProgram } from "./build.mjs";
import { root, run } from "./step.mjs";
import { findRigs, type Row, readPage, writePage } from "./torture-page.ts";

const PAGE = path.join(root, "docs/torture.md");
const MACHINE = `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}, ${process.platform} ${process.arch}, Node ${process.versions.node}`;

const wanted = process.argv.slice(2);
const files = findRigs(
  root,
  packageFolders(["packages", "apps", "tooling"]).map((folder) => `${folder}/test`),
);
let rows = existsSync(PAGE) ? readPage(readFileSync(PAGE, "utf8")) : [];
const dateOf = (file: string): string => rows.find((row) => row.file === file)?.date ?? "";
const chosen = files
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort((a, b) => dateOf(a).localeCompare(dateOf(b)) || a.localeCompare(b));
const commit = await commitOf();

const failed: string[] = [];
for (const file of chosen) {
  const started = new Date();
  const { status, output } = await torture(file);
  if (status !== 0) {
    // Its rows stay: they tell of the last time that it passed, with the date of it.
    failed.push(file);
    continue;
  }
  const minutes = Math.ceil((Date.now() - started.getTime()) / 60_000);
  const date = started.toISOString().slice(0, 10);
  const made = output.split("\n").flatMap((line): Row[] => {
    if (!line.startsWith(REPORT_MARK)) return [];
    const [rig = "", times = "", outcomes = ""] = line.slice(REPORT_MARK.length).split(" | ");
    return [{ rig, times, outcomes, file, minutes: `${minutes}`, date, commit }];
  });
  rows = [...rows.filter((row) => row.file !== file), ...made];
  writeFileSync(PAGE, writePage(rows, files, MACHINE));
}
const last = `${chosen.length - failed.length} files of rigs passed, ${failed.length} failed`;
process.stdout.write(`${[...failed.map((file) => `FAILED   ${file}`), last].join("\n")}\n`);
process.exitCode = failed.length === 0 && chosen.length > 0 ? 0 : 1;

/** Runs a file of rigs alone, so that they do not take the machine from each other; passes on what it prints. */
function torture(file: string): Promise<{ status: number; output: string }> {
  return new Promise((resolve) => {
    const args = ["run", "--config", "vitest.workspace.ts", file];
    const child = spawn(process.execPath, [toolProgram("vitest"), ...args], {
      cwd: root,
      // What is not there cannot be shown: a rig that lacks its server fails.
      env: { ...process.env, LANGO_TORTURE: "full", LANGO_TEST_REQUIRE: "all" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk;
      process.stdout.write(chunk);
    });
    child.on("close", (code) => resolve({ status: code ?? 1, output }));
  });
}

/** What was tried, and whether it is in no commit yet; the page itself does not count. */
async function commitOf(): Promise<string> {
  const head = await run("git", ["rev-parse", "--short", "HEAD"]);
  const changes = await run("git", ["status", "--porcelain", "--", ".", ":!docs/torture.md"]);
  return head.output.trim() + (changes.output === "" ? "" : " and changes");
}
