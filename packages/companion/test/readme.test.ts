import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const folder = fileURLToPath(new URL("..", import.meta.url));

test("the example of the README runs", async () => {
  const readme = readFileSync(join(folder, "README.md"), "utf8");
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
