import { execFile } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { report, torture } from "../../../tooling/vitest/torture.ts";
import type { Vault } from "../src/index.ts";
import { bytes, newHome, text } from "./helpers.ts";
import { script } from "./rig/spawn.ts";
import { create, open, targetOf } from "./rig/work.ts";
import { Sqlite } from "./sqlite.ts";

const run = promisify(execFile);
const DURATION_MS = torture(3_000, 60_000);

interface Report {
  readonly written: Record<string, string>;
  readonly reads: number;
  readonly increments: number;
  readonly conflicts: number;
}

/** Runs processes that write and read. */
const work = (home: string, numbers: readonly number[]): Promise<Report[]> =>
  Promise.all(
    numbers.map(async (number) => {
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

const made = async (home: string): Promise<void> => {
  const vault = await create(home);
  await vault.secrets.set("shared", bytes("0"));
  await vault.keys.create({ name: "log", type: "signing", algorithm: "ed25519" });
  await vault.close();
};

/** That everything is there that the processes say they wrote. @returns The increments that they made. */
const checkReports = async (vault: Vault, reports: readonly Report[]): Promise<number> => {
  for (const { written } of reports) {
    for (const [name, value] of Object.entries(written)) {
      expect(text((await vault.secrets.get(name)).value)).toBe(value);
    }
  }
  const increments = reports.reduce((sum, report) => sum + report.increments, 0);
  expect(increments).toBeGreaterThan(0);
  expect(text((await vault.secrets.get("shared")).value)).toBe(String(increments));
  expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
  return increments;
};

test("three processes write and read: nothing lost, one chain, anchored by all of them", {
  timeout: 600_000,
}, async () => {
  const home = newHome();
  await made(home);
  const reports = await work(home, [1, 2, 3]);
  const after = await open(home);
  const increments = await checkReports(after, reports);
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

test("two processes write and read while the key is put under one provider after the other", {
  timeout: 600_000,
}, async () => {
  const home = newHome();
  await made(home);
  const vault = await open(home);
  let working = true;
  const migrating = (async (): Promise<number> => {
    let step = 0;
    while (working) {
      await vault.providers.migrate({ to: targetOf(step) });
      step += 1;
      // Full data keys make the others want new ones, from whoever wraps them at that moment.
      const database = new Sqlite(`${home}/lango.db`, { timeout: 5_000 });
      database.prepare("UPDATE data_keys SET messages = 1073741824 WHERE state = 'active'").run();
      database.close();
      // Nothing above waits for anything but SQLite: without a turn, the end of the others would go unnoticed.
      await setTimeout(20);
    }
    return step;
  })();
  const reports = await work(home, [1, 2]).finally(() => {
    working = false;
  });
  const migrations = await migrating;
  expect(migrations).toBeGreaterThan(4);
  const { uri } = await vault.keys.describe("default");
  const { dataKeys } = await vault.status();
  expect(dataKeys).toMatchObject([{ uri: uri === "local:default" ? "vault:wrap" : uri }]);
  expect(dataKeys[0]?.count).toBeGreaterThan(1);
  await vault.close();
  const after = await open(home);
  const increments = await checkReports(after, reports);
  await after.close();
  report(
    `two processes at once, migrated under them, for ${DURATION_MS / 1000} s: operations`,
    new Map([
      ["migrations", migrations],
      ["data keys", dataKeys[0]?.count ?? 0],
      ["increments", increments],
    ]),
  );
});
