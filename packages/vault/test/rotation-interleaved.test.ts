import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openStore } from "@lango/store";
import fc from "fast-check";
import { expect, test } from "vitest";
import { buildSealedVault, unlock } from "../../../tooling/bench/rotation-vault.ts";
import { report, torture } from "../../../tooling/vitest/torture.ts";
import { decodeEntry } from "../src/audit/entry.ts";
import { openVault } from "../src/index.ts";
import { bytes, newHome, text } from "./helpers.ts";

const COUNT = 350;
const RUNS = torture(2, 100);
const nameOf = (i: number): string => `bench/secret-${String(i).padStart(7, "0")}`;
const change = fc.record({
  secret: fc.integer({ min: 0, max: COUNT + 20 }),
  isDeleted: fc.boolean(),
  pauseMs: fc.integer({ min: 0, max: 3 }),
});

/** The names of the versions that the log says a rotation sealed again. */
const sealedAgain = async (home: string): Promise<string[]> => {
  await using store = await openStore({ file: join(home, "lango.db"), mode: "read" });
  const entries = (await store.audit.page(1, 1000)).map(({ entry }) => decodeEntry(entry));
  return entries
    .filter((entry) => entry?.action === "rotation.reseal")
    .flatMap((entry) => entry?.rows?.map(([, row]) => row) ?? []);
};

test("whatever others write and delete meanwhile, each version is sealed again once at most, and none is left", {
  timeout: 300_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 30, maxLength: 80 }), async (changes) => {
      const home = newHome();
      await buildSealedVault(home, COUNT);
      await using vault = await openVault({ home, unlock });
      await using other = await openVault({ home, unlock });
      const expected = new Map<string, string | undefined>();
      const changing = (async () => {
        for (const [i, { secret, isDeleted, pauseMs }] of changes.entries()) {
          const name = nameOf(secret);
          const isThere = expected.has(name) ? expected.get(name) !== undefined : secret < COUNT;
          if (isDeleted && isThere) {
            await other.secrets.delete(name);
            expected.set(name, undefined);
          } else {
            await other.secrets.set(name, bytes(`change ${i}`));
            expected.set(name, `change ${i}`);
          }
          await sleep(pauseMs);
        }
      })();
      const { resealed, retired } = await vault.rotation.start();
      await changing;
      expect(retired).toHaveLength(1);
      const left = (await vault.dataKeys.list()).filter(({ state }) => state !== "active");
      expect(left.every(({ state, values }) => state === "retired" && values === 0)).toBe(true);

      const again = await sealedAgain(home);
      expect(new Set(again).size).toBe(again.length);
      expect(again.length).toBe(resealed);
      for (const [name, value] of expected) {
        if (value !== undefined) expect(text((await vault.secrets.get(name)).value)).toBe(value);
      }
    }),
    { numRuns: RUNS, endOnFailure: true },
  );
  report("rotations while others write and delete", new Map([["each version once", RUNS]]));
});
