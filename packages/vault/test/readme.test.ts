import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";

test("the example of the README runs, in a process and a home of its own", async () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const example = /```ts\n(.*?)```/s.exec(readme)?.[1] ?? "";
  const home = mkdtempSync(join(tmpdir(), "lango-readme-"));
  // Inside the package, so that its name leads to these sources.
  const file = fileURLToPath(new URL(`readme-example-${process.pid}.ts`, import.meta.url));
  onTestFinished(() => {
    rmSync(home, { recursive: true, force: true });
    rmSync(file, { force: true });
  });
  writeFileSync(file, example);
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--conditions=@lango/source", file],
    { env: { ...process.env, HOME: home } },
  );
  expect(stdout).toBe("sk-abc123 1\ntrue\n");
});
