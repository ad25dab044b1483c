import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bytes, newHome, text } from "./helpers.ts";
import { createKills } from "./rig/kills.ts";
import { runAndKill } from "./rig/spawn.ts";
import { checkWhole } from "./rig/whole.ts";
import { create, finishCompromised, open } from "./rig/work.ts";

const STAGES = {
  compromised: [
    "rekey:planned",
    "rekey:renamed",
    "rekey:rows",
    "rotate:begun",
    "rotate:resealed",
    "rotate:retired",
    "renew:steering",
    "renew:batch",
    "database:checked",
    "database:cleared",
    "database:renamed",
    "database:reopened",
    "slots:pending",
    "slots:renamed",
    "slots:current",
    "renew:ended",
  ],
} as const;

const { kills, checkKilled } = createKills(STAGES);

test("kill -9 after a compromise, of an encrypted vault: it goes on, and ends without the former keys", {
  timeout: 3_600_000,
}, async () => {
  const home = newHome();
  const made = await create(home, undefined, true);
  for (let i = 0; i < 5; i += 1) await made.secrets.set(`n/${i}`, bytes(`value ${i}`));
  await made.secrets.delete("n/4");
  await made.close();
  for (const { killAt, afterMs } of kills(STAGES.compromised, 1500)) {
    const killed = await runAndKill(["compromised", home, killAt], {
      ...(afterMs === undefined ? {} : { afterMs }),
    });
    checkKilled("compromised", killed, killAt);
    const vault = await open(home);
    for (let i = 0; i < 4; i += 1) {
      expect(text((await vault.secrets.get(`n/${i}`)).value)).toBe(`value ${i}`);
    }
    await checkWhole(vault, home);
    const { renewing } = await vault.status();
    if (renewing) await finishCompromised(vault);
    expect(await vault.rotation.status()).toBeUndefined();
    expect(await vault.status()).toMatchObject({ renewing: false, database: { encrypted: true } });
    await vault.secrets.set("n/0", bytes("value 0"));
    await checkWhole(vault, home);
    await vault.close();
    expect(readFileSync(join(home, "keyslots.json"), "utf8")).not.toContain("inherited");
    expect(readdirSync(home).filter((name) => name.includes("recrypt"))).toEqual([]);
  }
});
