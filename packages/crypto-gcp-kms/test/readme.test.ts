import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { ALGORITHMS } from "../src/algorithms.ts";
import { STATUS_CODES } from "../src/errors.ts";
import { withStandIn } from "./with-stand-in.ts";

const bench = withStandIn();
const folder = fileURLToPath(new URL("..", import.meta.url));
const readme = readFileSync(join(folder, "README.md"), "utf8");

/** Runs the example as a program of its own, with the stand-in in the place of Google Cloud. */
const runExample = async (node: string): Promise<void> => {
  const [, example = ""] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  expect(example).toContain("assert.");
  const [, keyId = ""] = /keyId = "(.*)"/.exec(example) ?? [];
  const [ring, name] = keyId.split("/cryptoKeys/");
  if (!bench.standIn.resources.keys.has(keyId)) {
    await bench.standIn.resources.createKey(ring!, name!, { purpose: "ENCRYPT_DECRYPT" });
  }
  const program = example.replace(
    "({ keyId })",
    `({ keyId, endpoint: "${bench.standIn.grpcUrl}" })`,
  );
  expect(program).not.toBe(example);
  // Inside the package, so that it finds the packages that a user would have installed.
  const temporary = mkdtempSync(join(folder, "test", ".readme-"));
  try {
    const path = join(temporary, "example.ts");
    writeFileSync(path, program);
    await promisify(execFile)(node, ["--conditions=@lango/source", "--no-warnings", path]);
  } finally {
    rmSync(temporary, { recursive: true });
  }
  expect(bench.standIn.calls).toEqual(["encrypt", "decrypt"]);
};

describe("the example of the README", () => {
  test("runs", () => runExample(process.execPath));
  test("runs on Node 22", () => runExample(requireService("node22")));
});

test("the README has the headings of every provider, every algorithm and every status", () => {
  const headings = [...readme.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
  expect(headings).toEqual([
    "Keys it accepts",
    "Operations",
    "Limits",
    "Permissions",
    "Errors",
    "Traps",
    "Tests",
  ]);
  const named = Object.keys(ALGORITHMS).filter((name) => !name.startsWith("RSA"));
  for (const { algorithm } of Object.values(ALGORITHMS)) named.push(algorithm);
  for (const { status } of Object.values(STATUS_CODES)) named.push(status);
  for (const name of named) expect(readme).toContain(`\`${name}\``);
});
