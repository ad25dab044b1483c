import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { CryptoErrorCode } from "@lango/crypto-core";
import { afterAll, describe, expect, test } from "vitest";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { makePair } from "./support/companion.ts";

const pair = await makePair();
const companion = await pair.start();
afterAll(async () => {
  await companion.stop();
  pair.remove();
});
const folder = fileURLToPath(new URL("..", import.meta.url));
const readme = readFileSync(join(folder, "README.md"), "utf8");

/** Runs the example as a program of its own, with a companion of the test in the place of the phone. */
const runExample = async (node: string): Promise<void> => {
  const [, example = ""] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  expect(example).toContain("assert.");
  const program = [
    ["AAAAAAAAAAAAAAAAAAAAAA", pair.companion.id],
    ["a".repeat(43), pair.companion.fingerprint],
    ["https://phone.local:7451", companion.url],
    ['folder: "identity"', `folder: ${JSON.stringify(join(pair.folder, "agent"))}`],
  ].reduce((text, [from = "", to = ""]) => {
    expect(text).toContain(from);
    return text.replace(from, to);
  }, example);
  // Inside the package, so that it finds the packages that a user would have installed.
  const temporary = mkdtempSync(join(folder, "test", ".readme-"));
  const before = pair.uses().length;
  try {
    const path = join(temporary, "example.ts");
    writeFileSync(path, program);
    await promisify(execFile)(node, ["--conditions=@lango/source", "--no-warnings", path]);
  } finally {
    rmSync(temporary, { recursive: true });
  }
  expect(pair.uses().length).toBe(before + 1);
};

describe("the example of the README", () => {
  test("runs", () => runExample(process.execPath));
  test("runs on Node 22", () => runExample(requireService("node22")));
});

test("the README has the headings of every provider, and every code that a caller may meet", () => {
  const headings = [...readme.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
  expect(headings).toEqual([
    ...["Set-up", "Keys it accepts", "Operations", "Limits", "Permissions", "Errors", "Tests"],
  ]);
  const codes: readonly CryptoErrorCode[] = [
    ...(["ERR_UNAVAILABLE", "ERR_TIMEOUT", "ERR_ACCESS_DENIED", "ERR_DENIED"] as const),
    ...(["ERR_APPROVAL_TIMEOUT", "ERR_RATE_LIMITED", "ERR_KEY_NOT_FOUND"] as const),
    ...(["ERR_KEY_DISABLED", "ERR_KEY_USAGE", "ERR_UNSUPPORTED", "ERR_DECRYPTION_FAILED"] as const),
    ...(["ERR_INTEGRITY", "ERR_CONFLICT", "ERR_CONFIG", "ERR_CLOSED"] as const),
  ];
  const table = readme.slice(readme.indexOf("## Errors"));
  for (const code of codes) expect(table).toContain(`\`${code}\``);
});
