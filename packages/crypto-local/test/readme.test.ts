import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ALGORITHMS } from "../src/index.ts";

const folder = fileURLToPath(new URL("..", import.meta.url));
const readme = readFileSync(join(folder, "README.md"), "utf8");

test("the example of the README runs", async () => {
  const [, example] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  expect(example).toContain("assert.");
  // Inside the package, so that it finds the packages that a user would have installed.
  const temporary = mkdtempSync(join(folder, "test", ".readme-"));
  try {
    const path = join(temporary, "example.ts");
    writeFileSync(path, example!);
    await import(path);
  } finally {
    rmSync(temporary, { recursive: true });
  }
});

test("the README has the headings of every provider, and every algorithm", () => {
  const headings = [...readme.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
  expect(headings).toEqual(["Keys it accepts", "Operations", "Limits", "Permissions", "Errors"]);
  for (const algorithm of Object.keys(ALGORITHMS)) expect(readme).toContain(`\`${algorithm}\``);
});
