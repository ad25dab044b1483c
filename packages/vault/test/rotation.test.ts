import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { SqliteDatabase } from "@lango/store";
import { describe, expect, test } from "vitest";
import type { RotationProgress, Vault } from "../src/index.ts";
import { edit, forge } from "./forge.ts";
import { bytes, expectCode, makeVault, newHome, reopen, text } from "./helpers.ts";
import { onStage } from "./on-stage.ts";
import { remote } from "./rig/remote.ts";
import { Sqlite } from "./sqlite.ts";

const inDatabase = <T>(home: string, run: (database: SqliteDatabase) => T): T => {
  const database = new Sqlite(join(home, "lango.db"), { timeout: 5_000 });
  try {
    return run(database);
  } finally {
    database.close();
  }
};

interface DataKey {
  readonly id: string;
  readonly domain: string;
  readonly state: string;
  readonly wrapped: Uint8Array;
  readonly uses: number;
}

/** The data keys, oldest first, with the number of versions that each sealed. */
const dataKeysOf = (home: string): DataKey[] =>
  inDatabase(
    home,
    (database) =>
      database
        .prepare(
          `SELECT id, domain, state, wrapped,
             (SELECT count(*) FROM secret_versions WHERE data_key_id = data_keys.id) AS uses
           FROM data_keys ORDER BY created_at, id`,
        )
        .all() as DataKey[],
  );

const byState = (home: string, state: string): DataKey[] =>
  dataKeysOf(home).filter((key) => key.state === state);

const sealedValues = (home: string): Record<string, string> =>
  inDatabase(home, (database) =>
    Object.fromEntries(
      (
        database
          .prepare(
            "SELECT name || '@' || version AS at, hex(sealed) AS sealed FROM secret_versions JOIN secrets ON id = secret_id",
          )
          .all() as { at: string; sealed: string }[]
      ).map(({ at, sealed }) => [at, sealed]),
    ),
  );

const wholeLog = { ok: true, faults: [] };

/** Three names, one of them with twelve versions, and a tombstone. */
const fill = async (vault: Vault): Promise<void> => {
  for (let version = 1; version <= 12; version += 1) {
    await vault.secrets.set("many", bytes(`many ${version}`));
  }
  await vault.secrets.set("one", bytes("one"));
  await vault.secrets.set("empty", bytes(""));
  await vault.secrets.set("gone", bytes("gone"));
  await vault.secrets.delete("gone");
};

const expectFilled = async (vault: Vault): Promise<void> => {
  expect(text((await vault.secrets.get("one")).value)).toBe("one");
  expect(text((await vault.secrets.get("empty")).value)).toBe("");
  for (let version = 3; version <= 12; version += 1) {
    expect(text((await vault.secrets.get("many", { version })).value)).toBe(`many ${version}`);
  }
  await expectCode(() => vault.secrets.get("gone"), "ERR_NOT_FOUND");
};

describe("a rotation", () => {
  test("seals every kept version again, under another data key, and destroys the old one", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await fill(vault);
    const [old] = dataKeysOf(home);
    const before = sealedValues(home);
    const seen: RotationProgress[] = [];
    const result = await vault.rotation.start({ onProgress: (progress) => seen.push(progress) });
    expect(result).toEqual({ resealed: 12, verified: 12, retired: [old?.id] });

    const after = sealedValues(home);
    expect(Object.keys(after)).toEqual(Object.keys(before));
    for (const [at, sealed] of Object.entries(after)) {
      expect(sealed).not.toBe(before[at]);
      expect(sealed).not.toContain(old?.id.toUpperCase());
    }
    expect(byState(home, "active")).toMatchObject([{ uses: 12, domain: "secrets" }]);
    const [gone] = byState(home, "retired");
    expect(gone).toMatchObject({ id: old?.id, uses: 0 });
    expect(gone?.wrapped).toHaveLength(0);
    expect(seen[0]).toEqual({ stage: "reseal", done: 0, total: 12 });
    expect(seen.findLast(({ stage }) => stage === "reseal")).toMatchObject({ done: 12, total: 12 });
    expect(seen.at(-1)).toEqual({ stage: "verify", done: 12, total: 12 });
    await expectFilled(vault);
    expect(await vault.rotation.status()).toBeUndefined();
    expect((await vault.status()).rotation).toBeNull();
    expect(await vault.audit.verify({ rows: true })).toMatchObject(wholeLog);
    const again = await reopen(home);
    await expectFilled(again);
    expect(await again.secrets.set("gone", bytes("back"))).toMatchObject({ version: 2 });
  });

  test("says in the log what it did", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("a", bytes("v"));
    const before = (await vault.audit.tail()).at(-1)?.seq ?? 0;
    await vault.rotation.start();
    const events = (await vault.audit.tail()).filter(({ seq }) => seq > before);
    const actions = events.map(({ action }) => action);
    expect(actions).toEqual([
      "rotation.start",
      "rotation.reseal",
      "data-key.retire",
      "rotation.end",
    ]);
  });
});
