import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as guard from "@lango/guard";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const examples = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map((found) => found[1]!);

describe("README", () => {
  let folder: string;
  // Inside the package, so that the examples find it by name.
  beforeAll(() => {
    folder = mkdtempSync(fileURLToPath(new URL("./readme-", import.meta.url)));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("has examples", () => expect(examples).toHaveLength(5));

  it.each(examples.map((code, i) => [i, code] as const))(
    "example %i prints what its comments say",
    (i, code) => {
      const file = path.join(folder, `example-${i}.ts`);
      writeFileSync(file, code);
      const options = ["--conditions=@lango/source", "--experimental-strip-types", "--no-warnings"];
      const { stdout, stderr } = spawnSync(process.execPath, [...options, file], {
        encoding: "utf8",
      });
      const said = [...code.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map((found) => found[1]);
      expect(stderr).toBe("");
      // The loop at the end prints its line for each of two names.
      const lines = stdout.trimEnd().split("\n");
      expect([...new Set(lines)]).toEqual(said);
    },
  );

  it("names every function that is exported", () => {
    for (const [name, value] of Object.entries(guard)) {
      if (typeof value === "function") expect(readme, name).toContain(`\`${name}\``);
    }
  });
});
