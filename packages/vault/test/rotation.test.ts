import { join } from "node:path";
import type { SqliteDatabase } from "@lango/store";
import { describe, expect, test } from "vitest";
import type { RotationProgress, Vault } from "../src/index.ts";
import { withMac } from "../src/rows.ts";
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

  test("of large values takes fewer in one go, and of none ends all the same", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    expect(await vault.rotation.start()).toMatchObject({ resealed: 0, verified: 0 });
    const large = new Uint8Array(1024 * 1024).fill(7);
    for (let i = 0; i < 6; i += 1) await vault.secrets.set(`large/${i}`, large);
    const seen: number[] = [];
    const onProgress = ({ stage, done }: RotationProgress) => {
      if (stage === "reseal") seen.push(done);
    };
    expect(await vault.rotation.start({ onProgress })).toMatchObject({ resealed: 6, verified: 6 });
    // Six are more than the 4 MiB of a batch.
    expect(seen.length).toBeGreaterThan(2);
    expect((await vault.secrets.get("large/5")).value).toEqual(large);
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

describe("a value that was altered on disk", () => {
  const at = (home: string, name: string): Buffer =>
    inDatabase(
      home,
      (database) =>
        (
          database
            .prepare(
              "SELECT sealed FROM secret_versions JOIN secrets ON id = secret_id WHERE name = ?",
            )
            .get(name) as { sealed: Buffer }
        ).sealed,
    );
  const put = (home: string, name: string, sealed: Uint8Array): void =>
    inDatabase(home, (database) => {
      database
        .prepare(
          "UPDATE secret_versions SET sealed = ? WHERE secret_id = (SELECT id FROM secrets WHERE name = ?)",
        )
        .run(sealed, name);
    });

  test.each([
    ["a byte of the ciphertext", -20],
    ["a byte of the tag", -1],
    ["a byte of the header", 0],
    ["a byte of the commitment", 30],
  ])("stops the job and is named: %s", async (_, index) => {
    const home = newHome();
    const vault = await makeVault(home);
    await fill(vault);
    const right = at(home, "one");
    const wrong = Buffer.from(right);
    wrong[index < 0 ? wrong.length + index : index]! ^= 1;
    put(home, "one", wrong);
    const error = await expectCode(() => vault.rotation.start(), "ERR_DECRYPTION_FAILED");
    expect(error.message).toBe("Version secrets/one@1 does not open");
    expect(error.context.hint).toContain("lango security rotate --resume");
    // Nothing is lost: the old data key opens what it sealed, the new one what was written since.
    expect(byState(home, "retired")).toEqual([]);
    expect(byState(home, "decrypt-only")).toHaveLength(1);
    expect(at(home, "one").equals(wrong)).toBe(true);
    expect(text((await vault.secrets.get("many", { version: 3 })).value)).toBe("many 3");
    await vault.secrets.set("later", bytes("later"));
    await expectCode(() => vault.rotation.resume(), "ERR_DECRYPTION_FAILED");
    expect(await vault.audit.tail()).toContainEqual(
      expect.objectContaining({ action: "rotation.run", code: "ERR_DECRYPTION_FAILED" }),
    );
    // Put back, and the job ends.
    put(home, "one", right);
    expect(await vault.rotation.resume()).toMatchObject({
      verified: 13,
      retired: [expect.any(String)],
    });
    await expectFilled(vault);
    expect(await vault.audit.verify({ rows: true })).toMatchObject(wholeLog);
  });

  test("after it was sealed again stops the retiring", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await fill(vault);
    let right: Buffer = Buffer.alloc(0);
    onStage("rotate:resealed", () => {
      right = at(home, "one");
      const wrong = Buffer.from(right);
      wrong[wrong.length - 1]! ^= 1;
      put(home, "one", wrong);
    });
    await expectCode(() => vault.rotation.start(), "ERR_DECRYPTION_FAILED");
    const [old] = byState(home, "decrypt-only");
    expect(old).toMatchObject({ uses: 0 });
    expect(old?.wrapped.length).toBeGreaterThan(32);
    expect(await vault.rotation.status()).toMatchObject({ dataKeys: [old?.id] });
    // Nor does anything else destroy it while the rotation has not ended.
    expect(await vault.dataKeys.retire()).toMatchObject({ retired: [], needed: [{ id: old?.id }] });
    put(home, "one", right);
    expect(await vault.rotation.resume()).toMatchObject({ resealed: 0, retired: [old?.id] });
    await expectFilled(vault);
  });

  test("that was put in the place of another one of the same data key is not sealed again", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await fill(vault);
    put(home, "one", at(home, "empty"));
    await expectCode(() => vault.rotation.start(), "ERR_DECRYPTION_FAILED");
  });

  test("that names another data key than sealed it keeps that one from being destroyed", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await fill(vault);
    const controller = new AbortController();
    onStage("rotate:begun", () => controller.abort(new Error("stop")));
    await expect(vault.rotation.start({ signal: controller.signal })).rejects.toThrow("stop");
    // Sealed by the new one, says the row; the bytes are those of the old one. No batch looks at it.
    const [active] = byState(home, "active");
    const [old] = byState(home, "decrypt-only");
    expect(old?.uses).toBe(12);
    edit(home, `UPDATE secret_versions SET data_key_id = '${active?.id}'`);
    await expectCode(() => vault.rotation.resume(), "ERR_DECRYPTION_FAILED");
    expect(byState(home, "retired")).toEqual([]);
    edit(home, `UPDATE secret_versions SET data_key_id = '${old?.id}'`);
    expect(await vault.rotation.resume()).toMatchObject({ resealed: 12, retired: [old?.id] });
    await expectFilled(vault);
  });

  test("that was pruned and is back does not pass for a kept one", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("a", bytes("first"));
    const first = at(home, "a");
    for (let version = 2; version <= 12; version += 1) await vault.secrets.set("a", bytes("v"));
    await vault.close();
    edit(
      home,
      `INSERT INTO secret_versions SELECT secret_id, 1, data_key_id, x'${first.toString("hex")}', 5, 1
       FROM secret_versions WHERE version = 12`,
    );
    const again = await reopen(home);
    const error = await expectCode(() => again.rotation.start(), "ERR_INTEGRITY");
    expect(error.message).toBe("Version secrets/a@1 was removed, and is in the database");
    edit(home, "DELETE FROM secret_versions WHERE version = 1");
    expect(await again.rotation.resume()).toMatchObject({ verified: 10 });
  });
});

describe("while a rotation goes on", () => {
  test("a writer that comes between reading and writing a batch wins", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await fill(vault);
    const other = await reopen(home);
    let writing: Promise<unknown> | undefined;
    onStage("rotate:sealed", () => {
      writing = (async () => {
        await other.secrets.delete("one");
        await other.secrets.set("one", bytes("newer"));
        for (let i = 13; i <= 15; i += 1) await other.secrets.set("many", bytes(`many ${i}`));
      })();
    });
    // The batch waits its turn of the event loop between sealing and writing.
    const result = await vault.rotation.start();
    await writing;
    expect(result.retired).toHaveLength(1);
    expect(text((await vault.secrets.get("one")).value)).toBe("newer");
    expect(text((await vault.secrets.get("many")).value)).toBe("many 15");
    expect((await vault.secrets.history("many")).map(({ version }) => version)).toEqual([
      15, 14, 13, 12, 11, 10, 9, 8, 7, 6,
    ]);
    for (let version = 6; version <= 15; version += 1) {
      expect(text((await vault.secrets.get("many", { version })).value)).toBe(`many ${version}`);
    }
    expect(await vault.audit.verify({ rows: true })).toMatchObject(wholeLog);
  });

  test("another process that has the old data key writes under the new one, and reads both", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await fill(vault);
    const other = await reopen(home);
    await other.secrets.set("warm", bytes("one"));
    expect(text((await other.secrets.get("one")).value)).toBe("one");
    await vault.rotation.start();
    expect((await other.secrets.set("warm", bytes("two"))).version).toBe(2);
    await expectFilled(other);
    expect(byState(home, "active")).toMatchObject([{ uses: 14 }]);
  });

  test("a read whose data key is destroyed before it opens the value reads again", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("a", bytes("value"));
    const row = () =>
      inDatabase(home, (database) =>
        database
          .prepare("SELECT data_key_id AS id, hex(sealed) AS sealed FROM secret_versions")
          .get(),
      ) as { id: string; sealed: string };
    const put = ({ id, sealed }: { id: string; sealed: string }) =>
      edit(home, `UPDATE secret_versions SET data_key_id = '${id}', sealed = x'${sealed}'`);
    const before = row();
    await vault.rotation.start();
    await vault.close();
    const after = row();
    const reader = await reopen(home);
    put(before);
    // Its row is read in this very call, its data key after it.
    const reading = reader.secrets.get("a");
    put(after);
    expect(text((await reading).value)).toBe("value");
  });

  test("a second rotation is refused; going on with the first from two processes ends it once", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await fill(vault);
    const other = await reopen(home);
    let refused: Promise<unknown> | undefined;
    let joined: Promise<{ retired: readonly string[] }> | undefined;
    onStage("rotate:begun", () => {
      // After the commit that this stage comes before.
      refused = new Promise((resolve) => setTimeout(resolve, 0)).then(() =>
        expectCode(() => other.rotation.start(), "ERR_CONFLICT"),
      );
    });
    onStage("rotate:sealed", () => {
      joined = other.rotation.resume();
    });
    const result = await vault.rotation.start();
    await refused;
    expect(result.retired).toHaveLength(1);
    expect((await joined)?.retired.length).toBeLessThanOrEqual(1);
    expect(byState(home, "active")).toHaveLength(1);
    expect(byState(home, "retired")).toHaveLength(1);
    expect(await vault.rotation.status()).toBeUndefined();
    await expectFilled(other);
    expect(await vault.audit.verify({ rows: true })).toMatchObject(wholeLog);
  });

  test("given up by its signal, everything is readable, and any process goes on", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await fill(vault);
    const reason = new Error("enough");
    for (const stage of ["rotate:batch", "rotate:resealed", "rotate:verified"]) {
      const controller = new AbortController();
      onStage(stage, () => controller.abort(reason));
      const begun = await vault.rotation.status();
      const { signal } = controller;
      const running = begun ? vault.rotation.resume({ signal }) : vault.rotation.start({ signal });
      await expect(running).rejects.toBe(reason);
      await expectFilled(vault);
      expect(byState(home, "retired")).toEqual([]);
    }
    expect(await vault.status()).toMatchObject({ rotation: { total: 12 } });
    const failures = (await vault.audit.tail()).filter(({ outcome }) => outcome === "failure");
    expect(failures.map(({ action }) => action)).not.toContain("rotation.run");
    await vault.close();
    const again = await reopen(home);
    const seen: RotationProgress[] = [];
    const onProgress = (progress: RotationProgress) => seen.push(progress);
    expect(await again.rotation.resume({ onProgress })).toMatchObject({
      resealed: 0,
      verified: 12,
    });
    expect(seen[0]).toEqual({ stage: "reseal", done: 12, total: 12 });
    await expectCode(() => again.rotation.resume(), "ERR_NOT_FOUND");
    await expectFilled(again);
  });

  test("an altered job is found out", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("a", bytes("v"));
    const controller = new AbortController();
    onStage("rotate:resealed", () => controller.abort(new Error("stop")));
    await expect(vault.rotation.start({ signal: controller.signal })).rejects.toThrow("stop");
    edit(home, `UPDATE jobs SET content = '{"dataKeys":[],"total":1}'`);
    await expectCode(() => vault.rotation.resume(), "ERR_INTEGRITY");
    await expectCode(() => vault.status(), "ERR_INTEGRITY");
    edit(home, "UPDATE jobs SET content = '[1'");
    await expectCode(() => vault.rotation.status(), "ERR_INTEGRITY");
    edit(home, "DELETE FROM jobs");
    const { ok, faults } = await vault.audit.verify({ rows: true });
    expect(ok).toBe(false);
    expect(faults).toMatchObject([
      { problem: expect.stringContaining("Row rotate of table jobs") },
    ]);
  });
});

describe("data keys of a provider", () => {
  const remoteVault = async (home: string) => {
    const kms = remote();
    const vault = await makeVault(home, undefined, {
      defaultKey: { uri: "aws-kms:k1", provider: kms.provider },
    });
    await vault.close();
    const open = (fallbackToLocal = false) =>
      reopen(home, { providers: { "aws-kms": kms.provider }, fallbackToLocal });
    return { kms, open };
  };

  test("are wrapped by it alone, after as before", async () => {
    const home = newHome();
    const { open } = await remoteVault(home);
    const vault = await open();
    await fill(vault);
    await vault.keys.create({ name: "own", type: "encryption" });
    await vault.secrets.set("local", bytes("local"), { key: "own" });
    expect(await vault.rotation.start()).toMatchObject({ resealed: 13, verified: 13 });
    const status = await vault.status();
    expect(status.dataKeys).toEqual([
      { uri: "aws-kms:k1", count: 1, degraded: 0 },
      { uri: "vault:wrap", count: 1, degraded: 0 },
    ]);
    await expectFilled(vault);
    expect(text((await vault.secrets.get("local")).value)).toBe("local");
    const again = await open();
    await expectFilled(again);
    // What is retired is in nobody's way.
    await again.providers.migrate({ to: "local:default" });
    await again.providers.rewrap({ all: true });
    await expectFilled(again);
    expect(await again.audit.verify({ rows: true })).toMatchObject(wholeLog);
  });

  test("are not made while it cannot be reached, and nothing is changed", async () => {
    const home = newHome();
    const { kms, open } = await remoteVault(home);
    const vault = await open(true);
    await fill(vault);
    const before = dataKeysOf(home);
    kms.fault = "ERR_UNAVAILABLE";
    await expectCode(() => vault.rotation.start(), "ERR_UNAVAILABLE");
    expect(dataKeysOf(home)).toEqual(before);
    expect(await vault.rotation.status()).toBeUndefined();
  });

  test("of the fallback give way to one that the provider wraps", async () => {
    const home = newHome();
    const { kms, open } = await remoteVault(home);
    kms.fault = "ERR_UNAVAILABLE";
    const cold = await open(true);
    expect(await cold.secrets.set("a", bytes("degraded"))).toMatchObject({ degraded: true });
    await cold.close();
    kms.fault = undefined;
    const vault = await open(true);
    await vault.rotation.start();
    expect(await vault.status()).toMatchObject({
      degradedDataKeys: 0,
      dataKeys: [{ uri: "aws-kms:k1", count: 1 }],
    });
    expect(byState(home, "active")).toMatchObject([{ domain: "secrets", uses: 1 }]);
    expect(text((await vault.secrets.get("a")).value)).toBe("degraded");
  });
});

describe("data keys", () => {
  test("are listed with what they seal, and retired when that is nothing", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await fill(vault);
    edit(home, "UPDATE data_keys SET messages = 1073741824");
    const other = await reopen(home);
    await other.secrets.set("new", bytes("new"));
    expect(await vault.dataKeys.list()).toMatchObject([
      { key: "local:default", domain: "secrets", state: "decrypt-only", values: 12 },
      { key: "local:default", domain: "secrets", state: "active", values: 1 },
    ]);
    expect(await vault.dataKeys.retire()).toMatchObject({ retired: [], needed: [{ values: 12 }] });
    for (const name of ["many", "one", "empty"]) await vault.secrets.delete(name);
    expect(await vault.dataKeys.retire({ dryRun: true })).toMatchObject({
      retired: [{ state: "decrypt-only", values: 0 }],
      needed: [],
    });
    expect(byState(home, "retired")).toEqual([]);
    expect(await vault.dataKeys.retire()).toMatchObject({
      retired: [{ state: "retired", values: 0 }],
      needed: [],
    });
    expect(await vault.dataKeys.retire()).toEqual({ orphans: [], retired: [], needed: [] });
    expect(byState(home, "retired")[0]?.wrapped).toHaveLength(0);
    expect(text((await other.secrets.get("new")).value)).toBe("new");
    expect(await vault.audit.verify({ rows: true })).toMatchObject(wholeLog);
  });

  test("of another domain are left alone: what they sealed may be elsewhere", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("a", bytes("v"));
    await vault.close();
    await forge(home, async (tx, { keys }) => {
      const [row] = await tx.dataKeys.list();
      if (!row) return;
      for (const [digit, state] of [
        ["a", "active"],
        ["b", "decrypt-only"],
      ] as const) {
        const id = digit.repeat(24);
        await tx.dataKeys.insert(
          withMac(keys.rows, "data_keys", { ...row, id, domain: "files", state }),
        );
      }
    });
    const again = await reopen(home);
    expect((await again.rotation.start()).retired).toHaveLength(1);
    expect((await again.dataKeys.retire()).needed).toMatchObject([{ domain: "files" }]);
    const kept = dataKeysOf(home).filter(({ domain }) => domain === "files");
    expect(kept.map(({ state }) => state).sort()).toEqual(["active", "decrypt-only"]);
    expect(kept.every(({ wrapped }) => wrapped.length > 32)).toBe(true);
  });

  test("that are destroyed open nothing any more, also for who puts an old value back", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("a", bytes("old"));
    const before = inDatabase(home, (database) =>
      database
        .prepare("SELECT data_key_id AS id, hex(sealed) AS sealed FROM secret_versions")
        .get(),
    ) as { id: string; sealed: string };
    await vault.rotation.start();
    await vault.close();
    edit(
      home,
      `UPDATE secret_versions SET data_key_id = '${before.id}', sealed = x'${before.sealed}'`,
    );
    const again = await reopen(home);
    await expectCode(() => again.secrets.get("a"), "ERR_DECRYPTION_FAILED");
    await expectCode(() => again.rotation.start(), "ERR_DECRYPTION_FAILED");
    const { ok } = await again.audit.verify({ rows: true });
    expect(ok).toBe(false);
  });
});
