import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, it } from "vitest";
import { root, run } from "../../setup/step.mjs";

// `npm start` without a terminal, on the built command line.
const temporary = mkdtempSync(path.join(tmpdir(), "lango start "));
afterAll(() => rmSync(temporary, { recursive: true }));

it("makes a vault, uses a secret and checks the log, without a question and without showing a value", async () => {
  const script = path.join(root, "tooling/setup/first-run.mjs");
  const env = { ...process.env, TMPDIR: temporary, HOME: temporary };
  const { status, output } = await run(process.execPath, [script], { env });
  expect(status, output).toBe(0);
  expect(output).toContain("$ ./lango onboard --no-input\n");
  // "demo-" and 24 hex digits.
  expect(output).toContain("the child got 29 characters\n");
  expect(output).toContain("it is [SECRET:demo/api-key]\n");
  expect(output).not.toMatch(/demo-[0-9a-f]/);
  const home = readdirSync(temporary).find((name) => name.startsWith("lango-first-run-"));
  expect(output).toContain(path.join(temporary, home ?? ""));
  for (const file of readdirSync(path.join(temporary, home ?? ""))) {
    expect(statSync(path.join(temporary, home ?? "", file)).mode & 0o077, file).toBe(0);
  }
});
