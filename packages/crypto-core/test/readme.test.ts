import { readFileSync } from "node:fs";
import { ERROR_CODES } from "@lango/crypto-core";
import { expect, it } from "vitest";

it("lists every error code with its exit status in the README", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const rows = [...readme.matchAll(/^\| `(ERR_\w+)` \| .+ \| (\d+) \| (yes|no) \|$/gm)].map(
    ([, code, exit, retryable]) => [code, { exit: Number(exit), retryable: retryable === "yes" }],
  );
  expect(Object.fromEntries(rows)).toEqual(ERROR_CODES);
});
