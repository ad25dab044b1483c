import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { COMMANDS } from "../src/table/index.ts";

const ROOT = join(import.meta.dirname, "../../..");

test("hints name commands that there are", () => {
  const paths = new Set(COMMANDS.flatMap(({ path, aliases = [] }) => [path, ...aliases]));
  const named = globSync("{packages/*,apps/*}/src/**/*.ts", { cwd: ROOT }).flatMap((file) =>
    readFileSync(join(ROOT, file), "utf8")
      .split("\n")
      .filter((line) => /hint|fault\(|Run "/.test(line))
      .flatMap((line) => [...line.matchAll(/lango ([a-z-]+(?: [a-z-]+)*)/g)])
      .map(([, words = ""]) => ({ file, words: words.split(" ") })),
  );
  expect(named.length).toBeGreaterThan(10);
  const unknown = named.filter(
    ({ words }) => !words.some((_, index) => paths.has(words.slice(0, index + 1).join(" "))),
  );
  expect(unknown).toEqual([]);
});
