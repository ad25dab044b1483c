import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { KEY_SPECS } from "../src/algorithms.ts";
import { ERRORS } from "../src/errors.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

test("the README has the headings of every provider, every key spec and every error with its code", () => {
  const headings = [...readme.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
  expect(headings).toEqual([
    "Keys it accepts",
    "Operations",
    "Limits",
    "Permissions",
    "Errors",
    "Traps",
    "Tested against",
  ]);
  for (const spec of Object.values(KEY_SPECS)) expect(readme).toContain(`\`${spec}\``);
  const lines = readme.split("\n");
  for (const [name, { code }] of Object.entries(ERRORS)) {
    const line = lines.find((each) => each.startsWith("| `ERR_") && each.includes(`\`${name}\``));
    expect(line?.slice(2), name).toMatch(new RegExp(`^\`${code}\``));
  }
});

test("the policy of the README is JSON and allows nothing but what a vault needs", () => {
  const [, policy] = /```json\n([\s\S]*?)```/.exec(readme) ?? [];
  const actions = JSON.parse(policy!).Statement.flatMap(
    ({ Action }: { Action: unknown }) => Action,
  );
  expect(actions).toEqual(["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"]);
});
