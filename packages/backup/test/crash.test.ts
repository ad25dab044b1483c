import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { utf8 } from "@lango/crypto-core";
import { afterAll, describe, expect, test } from "vitest";
import { count, report, torture } from "../../../tooling/vitest/torture.ts";
import { finishRestore, restoreBackup } from "../src/index.ts";
import { type Killed, runAndKill } from "./rig/spawn.ts";
import { backedUp, newFolder, open, unlockWith } from "./support.ts";

const RESTORE = [
  "restore:extracted",
  "restore:opened",
  "restore:verified",
  "slots:pending",
  "slots:written",
  "slots:renamed",
  "slots:current",
  "slots-backup:renamed",
  "restore:ready",
  "restore:aside",
  "restore:in-place",
];
const BACKUP = ["backup:begun", "backup:copied"];

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

const outcomes = new Map<string, Map<string, number>>();
afterAll(() => {
  for (const [job, stages] of outcomes) report(`kill -9 of ${job}, after`, stages);
});

const note = (job: string, { stage, stderr, signal }: Killed, killAt: string): void => {
  expect(stderr).toBe("");
  expect(signal).toBe("SIGKILL");
  if (killAt !== "") expect(stage).toBe(killAt);
  const stages = outcomes.get(job) ?? new Map<string, number>();
  outcomes.set(job, stages);
  count(stages, stage);
};

/** At each stage once, or five times in the full count; the rest at random moments. */
const kills = (stages: readonly string[], total: number, withinMs: number) => [
  ...Array.from({ length: torture(1, 5) }, () =>
    stages.map((killAt) => ({ killAt, afterMs: undefined })),
  ).flat(),
  ...Array.from({ length: total - torture(1, 5) * stages.length }, () => ({
    killAt: "",
    afterMs: Math.random() * withinMs,
  })),
];

describe("kill -9", () => {
  test("while restoring over a home: the old one or the new one, whole, and never neither", {
    timeout: 3_600_000,
  }, async () => {
    const { folder, home, file, identity } = await backedUp();
    for (const { killAt, afterMs } of kills(RESTORE, torture(20, 200), 600)) {
      const before = await open(home);
      await before.secrets.set("later", utf8("not in the backup"));
      await before.close();
      const killed = await runAndKill(["restore", home, file, identity, killAt], afterMs);
      note("restore", killed, killAt);
      const isHalfway = !existsSync(home);
      const finished = await finishRestore(home);
      expect(finished !== undefined).toBe(isHalfway);
      if (killAt === "restore:aside") expect(isHalfway).toBe(true);

      const vault = await open(home);
      expect(text((await vault.secrets.get("api/key")).value)).toBe("first");
      const isOld = (await vault.secrets.list()).some(({ name }) => name === "later");
      if (killed.lines.some((line) => line.startsWith("done "))) expect(isOld).toBe(false);
      expect(isOld).toBe(readdirSync(folder).every((name) => !name.includes("before-restore")));
      expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
      expect((await vault.status()).slotFile).toBe("settled");
      await vault.close();
      for (const name of readdirSync(folder)) {
        if (name.includes("before-restore")) rmSync(join(folder, name), { recursive: true });
      }
      // The next restore finds nothing in its way, and leaves nothing; after most kills that is the next child's.
      if (killAt === "") continue;
      const restoring = { file, home, opening: { identities: [identity] }, unlock: unlockWith() };
      await restoreBackup({ ...restoring, force: true, dryRun: true });
      expect(readdirSync(folder).sort()).toEqual(["home", "vault.age"]);
    }
  });

  test("while making a backup: no copy of the database is left by the next command", {
    timeout: 3_600_000,
  }, async () => {
    const { folder, home, identity, recipient } = await backedUp();
    const file = join(folder, "again");
    for (const { killAt, afterMs } of kills(BACKUP, torture(6, 60), 200)) {
      const killed = await runAndKill(["backup", home, file, recipient, killAt], afterMs);
      note("backup", killed, killAt);
      if (killed.stage === "backup:copied" && killAt !== "") {
        expect(existsSync(join(home, "lango.db.copy"))).toBe(true);
      }
      await (await open(home)).close();
      expect(readdirSync(home).filter((name) => name.includes("copy"))).toEqual([]);
      const made = killed.lines
        .filter((line) => line.startsWith("done "))
        .at(-1)
        ?.slice(5);
      if (made === undefined) continue;
      const to = join(newFolder(), "to");
      const opening = { identities: [identity] };
      await restoreBackup({ file: made, home: to, opening, unlock: unlockWith() });
      await (await open(to)).close();
    }
  });
});
