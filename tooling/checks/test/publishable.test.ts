import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toolProgram } from "../../setup/build.mjs";
import { run } from "../../setup/step.mjs";
import { pack, publishedPackages } from "../published.ts";

const folder = mkdtempSync(path.join(tmpdir(), "lango-pack-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function passes(tool: string, args: string[]): Promise<void> {
  const { status, output } = await run(process.execPath, [toolProgram(tool), ...args]);
  expect(status, output).toBe(0);
}

describe.each(publishedPackages())("$name as it would be published", (entry) => {
  let tarball = "";
  beforeAll(() => {
    tarball = pack(entry.folder, folder);
  });

  it("passes publint", () => passes("publint", ["--strict", tarball]));

  if (entry.isLibrary) {
    it("has types that resolve", () =>
      passes("@arethetypeswrong/cli", ["--profile", "esm-only", tarball]));
  }

  it("carries its licence and none of the compiler's notes", async () => {
    const { output } = await run("tar", ["-tzf", tarball]);
    expect(output).toContain("package/LICENSE");
    expect(output).not.toContain(".tsbuildinfo");
  });
});
