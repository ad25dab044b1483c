// `npm run torture`: every rig at its stated count; what they met goes into docs/torture.md. With arguments, only the
// test files whose path has one of them, and no document.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import path from "node:path";
import { REPORT_MARK } from "../vitest/torture.ts";
import { packageFolders, toolProgram } from "./build.mjs";
import { root, run } from "./step.mjs";

const wanted = process.argv.slice(2).filter((argument) => argument !== "--full");
const rigs = packageFolders(["packages", "apps"])
  .flatMap((folder) =>
    readdirSync(path.join(root, folder, "test")).map((name) => `${folder}/test/${name}`),
  )
  .filter((file) => file.endsWith(".test.ts"))
  .filter((file) => /vitest\/(torture|fuzz)\.ts"/.test(readFileSync(path.join(root, file), "utf8")))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)));

const started = new Date();
const { status, output } = await torture();
const lines = output
  .split("\n")
  .filter((line) => line.startsWith(REPORT_MARK))
  .map((line) => `| ${line.slice(REPORT_MARK.length)} |`);
if (wanted.length === 0) writeFileSync(path.join(root, "docs/torture.md"), await page());
process.exitCode = status;

/** Runs the rigs one file at a time, so that they do not take the machine from each other; passes on what they print. */
function torture(): Promise<{ status: number; output: string }> {
  return new Promise((resolve) => {
    const args = ["run", "--config", "vitest.workspace.ts", "--no-file-parallelism", ...rigs];
    const child = spawn(process.execPath, [toolProgram("vitest"), ...args], {
      cwd: root,
      env: { ...process.env, LANGO_TORTURE: "full" },
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

async function page(): Promise<string> {
  const commit = (await run("git", ["rev-parse", "--short", "HEAD"])).output.trim();
  const minutes = Math.round((Date.now() - started.getTime()) / 60_000);
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}, ${process.platform} ${process.arch}, Node ${process.versions.node}`;
  const last = output.trimEnd().split("\n").at(-1) ?? "";
  return [
    "# Torture",
    "",
    "Written by `npm run torture`, which runs every rig at its full count; `npm test` runs a short form of each.",
    "",
    `- Date: ${started.toISOString().slice(0, 10)}, ${minutes} minutes`,
    `- Commit: ${commit}`,
    `- Machine: ${machine}`,
    `- Tests: ${last}`,
    "",
    "| Rig | Times | Outcomes |",
    "|---|---|---|",
    ...lines,
    "",
  ].join("\n");
}
