import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Vault } from "../../src/index.ts";

/** A home in which nothing is left of a job, and a vault whose every row is right. */
export const checkWhole = async (vault: Vault, home: string): Promise<void> => {
  expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
  expect(readFileSync(join(home, "keyslots.bak.json"))).toEqual(
    readFileSync(join(home, "keyslots.json")),
  );
  expect(readdirSync(home).filter((name) => /\.(tmp|new)/.test(name))).toEqual([]);
};
