import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";

const app = fileURLToPath(new URL("..", import.meta.url));

/** Builds what is published before the first test, and again before each new run of a watching Vitest. */
export default function setup(project: TestProject): void {
  build();
  project.onTestsRerun(() => Promise.resolve(build()));
}

function build(): void {
  const tsup = createRequire(join(app, "../../package.json")).resolve("tsup/package.json");
  const { bin } = JSON.parse(readFileSync(tsup, "utf8"));
  const made = mkdtempSync(join(app, "dist-"));
  try {
    execFileSync(process.execPath, [join(dirname(tsup), bin.tsup), "--out-dir", made], {
      cwd: app,
      stdio: "pipe",
    });
    mkdirSync(join(app, "dist"), { recursive: true });
    // Renamed and not written there: another run may be reading these files.
    for (const name of readdirSync(made)) renameSync(join(made, name), join(app, "dist", name));
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}
