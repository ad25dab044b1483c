import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

test("importing the package loads no native module, nor does a provider: only the child does", () => {
  const index = new URL("../src/index.ts", import.meta.url);
  const code = `
    await import(${JSON.stringify(index.href)});
    const loaded = process.report.getReport().sharedObjects.filter((file) => file.endsWith(".node"));
    process.stdout.write(JSON.stringify(loaded));`;
  const args = ["--conditions=@lango/source", "--input-type=module", "-e", code];
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  expect(execFileSync(process.execPath, args, { cwd, encoding: "utf8" })).toBe("[]");
});
