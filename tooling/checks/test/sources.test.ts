import { existsSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { packageFolders, toolProgram } from "../../setup/build.mjs";
import { root, run } from "../../setup/step.mjs";

async function passes(tool: string, args: string[]): Promise<void> {
  const { status, output } = await run(process.execPath, [toolProgram(tool), ...args]);
  expect(status, output).toBe(0);
}

it("the sources are formatted and pass the linter", () =>
  passes("@biomejs/biome", ["check", "--error-on-warnings", "."]));

it("the types of sources, tests and tooling fit", { timeout: 120_000 }, () => {
  const projects = packageFolders(["packages", "apps", "tooling"])
    .flatMap((folder) => [`${folder}/tsconfig.json`, `${folder}/test/tsconfig.json`])
    .filter((file) => existsSync(path.join(root, file)));
  return passes("typescript", ["-b", "tooling/tsconfig.json", ...projects]);
});
