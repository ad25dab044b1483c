import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bytes, newHome, text } from "./helpers.ts";
import { createKills, last } from "./rig/kills.ts";
import { fromSources, runAndKill } from "./rig/spawn.ts";
import { checkWhole } from "./rig/whole.ts";
import { create, keptSlots, open } from "./rig/work.ts";
import { Sqlite } from "./sqlite.ts";

const STAGES = {
  rekey: [
    "rekey:made",
    "rekey:planned",
    "rekey:written",
    "rekey:renamed",
    "rekey:rows",
    "rekey:done",
    "rekey-backup:written",
    "rekey-backup:renamed",
  ],
} as const;

const { kills, checkKilled } = createKills(STAGES);

const countOf = (home: string, table: string): number => {
  const database = new Sqlite(join(home, "lango.db"), { readonly: true });
  try {
    const row = database.prepare(`SELECT count(*) AS n FROM ${table}`).get() as { n: number };
    return row.n;
  } finally {
    database.close();
  }
};

const made = async (): Promise<string> => {
  const home = newHome();
  const vault = await create(home);
  await vault.secrets.set("a", bytes("v"));
  await vault.keys.create({ name: "sign", type: "signing", algorithm: "ed25519" });
  await vault.close();
  return home;
};

describe("kill -9", () => {
  test("while the vault key is changed: the old one or the new one opens all of it", {
    timeout: 3_600_000,
  }, async () => {
    const home = await made();
    let steps = 0;
    for (const { killAt, afterMs } of kills(STAGES.rekey, 400)) {
      const killed = await runAndKill(["rekey", home, killAt], {
        env: { RIG_STEP: String(steps) },
        ...(afterMs === undefined ? {} : { afterMs }),
      });
      checkKilled("rekey", killed, killAt);
      const done = last(killed.lines, "done");
      const vault = await open(home);
      expect(countOf(home, "jobs")).toBe(0);
      expect(text((await vault.secrets.get("a")).value)).toBe("v");
      if (done >= 0) {
        const value = text((await vault.secrets.get("step")).value);
        // The one after it may have been committed before it could be confirmed.
        expect([`value ${done}`, `value ${done + 1}`]).toContain(value);
        steps = done + 1;
      }
      const message = bytes("message");
      await vault.keys.provider().sign!({ keyId: "sign", message });
      await vault.secrets.set("after", bytes(`kill ${steps}`));
      await checkWhole(vault, home);
      await vault.close();
      const again = await open(home);
      expect(text((await again.secrets.get("after")).value)).toBe(`kill ${steps}`);
      await again.close();
    }
    expect(existsSync(join(home, "keyslots.json.tmp"))).toBe(false);
  });
});

test("another process that has the vault open writes nothing with the old vault key", {
  timeout: 60_000,
}, async () => {
  const home = await made();
  const child = spawn(process.execPath, fromSources("child", ["stale", home]), {
    stdio: ["pipe", "inherit", "inherit", "pipe"],
  });
  const lines: string[] = [];
  const said = new Promise<void>((resolve) => {
    child.stdio[3]!.on("data", (chunk: Buffer) => {
      lines.push(
        ...chunk
          .toString()
          .split("\n")
          .filter((line) => line !== ""),
      );
      if (lines.includes("ready")) resolve();
    });
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  await said;
  const open1 = await open(home);
  const { vault } = await open1.rekey({ credentials: await keptSlots(open1) });
  const rows = countOf(home, "audit_log");
  child.stdin!.write("go\n");
  await ended;
  expect(lines.filter((line) => line.startsWith("code "))).toEqual(
    Array(5).fill("code ERR_LOCKED"),
  );
  expect(countOf(home, "audit_log")).toBe(rows);
  expect(countOf(home, "data_keys")).toBe(1);
  expect(text((await vault.secrets.get("a")).value)).toBe("v");
  await checkWhole(vault, home);
  await vault.close();
});
