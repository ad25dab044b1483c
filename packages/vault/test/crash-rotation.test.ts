import { expect, test } from "vitest";
import type { Vault } from "../src/index.ts";
import { bytes, newHome, text } from "./helpers.ts";
import { createKills } from "./rig/kills.ts";
import { runAndKill } from "./rig/spawn.ts";
import { checkWhole } from "./rig/whole.ts";
import { create, open } from "./rig/work.ts";

const STAGES = {
  rotate: [
    "rotate:wrapped",
    "rotate:begun",
    "rotate:sealed",
    "rotate:written",
    "rotate:batch",
    "rotate:resealed",
    "rotate:verified",
    "retire:written",
    "rotate:retired",
    "rotate:ended",
  ],
} as const;

const { kills, checkKilled } = createKills(STAGES);

/** More than one batch. */
const NAMES = 260;

const expectAll = async (vault: Vault): Promise<void> => {
  const names = Array.from({ length: NAMES }, (_, i) => `s/${i}`);
  const values = await Promise.all(names.map((name) => vault.secrets.get(name)));
  for (const { name, value } of values) expect(text(value)).toBe(`value of ${name}`);
  expect(text((await vault.secrets.get("s/0", { version: 1 })).value)).toBe("first");
};

test("kill -9 while rotating: every value reads, and the rotation was never begun or is gone on with", {
  timeout: 3_600_000,
}, async () => {
  const home = newHome();
  const first = await create(home);
  await first.secrets.set("s/0", bytes("first"));
  for (let i = 0; i < NAMES; i += 1) await first.secrets.set(`s/${i}`, bytes(`value of s/${i}`));
  await first.close();
  for (const { killAt, afterMs } of kills(STAGES.rotate, 300)) {
    const killed = await runAndKill(
      ["rotate", home, killAt],
      afterMs === undefined ? {} : { afterMs },
    );
    checkKilled("rotate", killed, killAt);
    const vault = await open(home);
    const begun = await vault.rotation.status();
    const states = (await vault.dataKeys.list()).map(({ state, values }) => ({ state, values }));
    expect(states.filter(({ state }) => state === "active")).toHaveLength(1);
    // Nothing is retired that a value needs, and only a rotation that has begun leaves keys for old values.
    expect(states.filter(({ state, values }) => state === "retired" && values > 0)).toEqual([]);
    if (!begun) expect(states.filter(({ state }) => state === "decrypt-only")).toEqual([]);
    await expectAll(vault);
    await vault.secrets.set("between", bytes(killed.stage));
    await checkWhole(vault, home);
    await vault.close();
  }
  const after = await open(home);
  if (await after.rotation.status()) await after.rotation.resume();
  await after.rotation.start();
  expect((await after.dataKeys.list()).filter(({ state }) => state !== "retired")).toMatchObject([
    { state: "active", values: expect.any(Number) },
  ]);
  await expectAll(after);
  await checkWhole(after, home);
  await after.close();
});
