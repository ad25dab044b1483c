import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { report, torture } from "../../../tooling/vitest/torture.ts";
import { bytes, newHome, text } from "./helpers.ts";
import { script } from "./rig/spawn.ts";
import { create, open } from "./rig/work.ts";

const run = promisify(execFile);
const DURATION_MS = torture(3_000, 60_000);

interface Report {
  readonly written: Record<string, string>;
  readonly reads: number;
  readonly increments: number;
  readonly conflicts: number;
}

test("three processes write and read: nothing lost, one chain, anchored by all of them", {
  timeout: 600_000,
}, async () => {
  const home = newHome();
  const vault = await create(home);
  await vault.secrets.set("shared", bytes("0"));
  await vault.keys.create({ name: "log", type: "signing", algorithm: "ed25519" });
  await vault.close();
  const reports = await Promise.all(
    [1, 2, 3].map(async (number) => {
      const args = [
        "--conditions=@lango/source",
        script("worker"),
        home,
        `${number}`,
        `${DURATION_MS}`,
      ];
      const { stdout } = await run(process.execPath, args);
      return JSON.parse(stdout) as Report;
    }),
  );
  const after = await open(home);
  for (const { written } of reports) {
    for (const [name, value] of Object.entries(written)) {
      expect(text((await after.secrets.get(name)).value)).toBe(value);
    }
  }
  const increments = reports.reduce((sum, report) => sum + report.increments, 0);
  expect(increments).toBeGreaterThan(0);
  expect(text((await after.secrets.get("shared")).value)).toBe(String(increments));
  expect(await after.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
  const { rows, anchors } = await after.audit.verify();
  expect(rows).toBeGreaterThan(increments);
  // Each process anchors by itself, at least when it closes.
  expect(anchors.outside).toBeGreaterThanOrEqual(1);
  expect(anchors.checkedWith).toMatchObject({ given: 0, anchor: 0 });
  // Two processes that sign the same row at once make the same anchor: two rows of the chain, one outside it.
  expect(anchors.checkedWith.registry).toBeGreaterThanOrEqual(anchors.outside);
  await after.close();
  report(
    `three processes at once for ${DURATION_MS / 1000} s: operations`,
    new Map([
      ["increments", increments],
      ["reads", reports.reduce((sum, { reads }) => sum + reads, 0)],
      ["conflicts", reports.reduce((sum, { conflicts }) => sum + conflicts, 0)],
    ]),
  );
});
