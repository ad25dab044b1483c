import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Vault } from "../src/index.ts";
import { bytes, newHome, text } from "./helpers.ts";
import { NAME, nameOf, SECRETS, textOf } from "./rig/database-work.ts";
import { createKills, last } from "./rig/kills.ts";
import { runAndKill } from "./rig/spawn.ts";
import { checkWhole } from "./rig/whole.ts";
import { create, open } from "./rig/work.ts";

const EACH = [
  "database:locked",
  "database:copied",
  "database:encrypted",
  "database:checked",
  "database:cleared",
  "database:renamed",
  "database:reopened",
] as const;
const STAGES = { "db-migrate": EACH, "db-decrypt": EACH } as const;

const { kills, checkKilled } = createKills(STAGES);

const filesWith = (home: string, found: string): string[] =>
  readdirSync(home).filter((name) => readFileSync(join(home, name)).includes(found));

const checkSecrets = async (vault: Vault): Promise<void> => {
  expect(await vault.secrets.list()).toHaveLength(SECRETS);
  for (let step = 0; step < SECRETS; step += 1) {
    expect(text((await vault.secrets.get(nameOf(step))).value)).toBe(textOf(step));
  }
};

describe("kill -9", () => {
  test.each([
    ["db-migrate", "encrypt", "decrypt"],
    ["db-decrypt", "decrypt", "encrypt"],
  ] as const)(
    "of %s: the old file or the new one, whole, and nothing else in plaintext",
    {
      timeout: 3_600_000,
    },
    async (job, to, back) => {
      const home = newHome();
      const first = await create(home);
      for (let step = 0; step < SECRETS; step += 1) {
        await first.secrets.set(nameOf(step), bytes(textOf(step)));
      }
      if (to === "decrypt") await first.database.encrypt();
      await first.close();
      for (const { killAt, afterMs } of kills(STAGES[job], 150)) {
        const killed = await runAndKill(
          [job, home, killAt],
          afterMs === undefined ? {} : { afterMs },
        );
        checkKilled(job, killed, killAt);
        const vault = await open(home);
        const { encrypted } = vault.database.status();
        if (last(killed.lines, "done") === 0) expect(encrypted).toBe(to === "encrypt");
        await checkSecrets(vault);
        await checkWhole(vault, home);
        const found = filesWith(home, NAME);
        expect(readdirSync(home).filter((name) => name.includes("recrypt"))).toEqual([]);
        if (encrypted) expect(found).toEqual([]);
        else expect(found.filter((name) => !/^lango\.db(-wal)?$/.test(name))).toEqual([]);
        // Once more, to its end; then back, for the next kill.
        expect((await vault.database[to]()).changed).toBe(encrypted !== (to === "encrypt"));
        if (to === "encrypt") expect(filesWith(home, NAME)).toEqual([]);
        await vault.database[back]();
        await vault.close();
      }
    },
  );
});
