import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { faultsDocument } from "../document.ts";

it("docs/faults.md says what the tests assert; if not: node tooling/faults/write-document.ts", () => {
  const page = readFileSync(new URL("../../../docs/faults.md", import.meta.url), "utf8");
  expect(page).toBe(faultsDocument());
});
