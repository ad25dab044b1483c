import type { StoreTransaction } from "@lango/store";
import { describe, expect, it } from "vitest";
import { DATABASES, fails, insertKeys, insertSecret, newStore, open, Sqlite } from "./helpers.ts";
import { auditRow, keyRow, vaultRow, versionRow } from "./rows.ts";

const names = async (store: { keys: { list(): Promise<{ name: string }[]> } }) =>
  (await store.keys.list()).map((key) => key.name);

/** Something that is settled from outside. */
const gate = () => Promise.withResolvers<void>();

describe.each(DATABASES)("transactions with %s", (_, database) => {
  it("commit on success, roll back and rethrow the very error otherwise", async () => {
    const store = await database.newStore();
    expect(
      await store.transaction("normal", async (tx) => {
        await tx.keys.insert(keyRow());
        return 7;
      }),
    ).toBe(7);
    const reason = new Error("mine");
    const failed = store.transaction("full", async (tx) => {
      await tx.keys.insert(keyRow({ name: "second" }));
      expect(await names(tx)).toEqual(["default", "second"]);
      throw reason;
    });
    await expect(failed).rejects.toBe(reason);
    expect(await names(store)).toEqual(["default"]);
    expect((await store.counts()).keys).toBe(1);
  });

  it("run one after the other, while reads outside see committed rows only and do not wait", async () => {
    const store = await database.newStore();
    const [inside, letGo] = [gate(), gate()];
    const order: string[] = [];
    const first = store.transaction("normal", async (tx) => {
      await tx.keys.insert(keyRow({ name: "a" }));
      inside.resolve();
      await letGo.promise;
      order.push("first");
    });
    const second = store.transaction("normal", async (tx) => {
      expect(await names(tx)).toEqual(["a"]);
      order.push("second");
    });
    await inside.promise;
    expect(await names(store)).toEqual([]);
    expect(await store.counts()).toMatchObject({ keys: 0 });
    letGo.resolve();
    await Promise.all([first, second]);
    expect(order).toEqual(["first", "second"]);
    expect(await names(store)).toEqual(["a"]);
  });

  it("cannot commit after a failed statement, even if its error was caught", async () => {
    const store = await database.newStore();
    const caught = store.transaction("normal", async (tx) => {
      await tx.keys.insert(keyRow());
      await tx.keys.insert(keyRow()).catch(() => undefined);
      await tx.keys.insert(keyRow({ name: "after" }));
    });
    // The first failure is told, also where the server refuses what comes after it.
    await fails("ERR_CONFLICT", caught);
    expect(await names(store)).toEqual([]);
  });

  it("cannot commit the first half of a write, even if the error of the second was caught", async () => {
    const store = await database.newStore();
    const { key, dataKey } = await store.transaction("normal", insertKeys);
    const { secret } = await store.transaction("normal", (tx) => insertSecret(tx, dataKey));
    const retired = { ...dataKey, state: "retired" as const };
    await store.transaction("normal", (tx) => tx.dataKeys.update(retired, dataKey.mac));
    const added = store.transaction("normal", async (tx) => {
      const change = {
        id: secret.id,
        keyId: key.id,
        currentVersion: 2,
        updatedAt: 2,
        mac: secret.mac,
      };
      const version = versionRow({ secretId: secret.id, dataKeyId: dataKey.id, version: 2 });
      await tx.secrets.addVersion(change, version, 1).catch(() => undefined);
    });
    await fails("ERR_KEY_RETIRED", added);
    const forged = store.transaction("normal", async (tx) => {
      await tx.audit.append([auditRow({ seq: 5 })]).catch(() => undefined);
    });
    await fails("ERR_CONFLICT", forged);
    expect((await store.secrets.find("secrets", secret.name))?.currentVersion).toBe(1);
    expect(await store.audit.tail(1)).toEqual([]);
  });

  it("cannot commit what a stale change of a secret had done, even if its error was caught", async () => {
    const store = await database.newStore();
    const { key, dataKey } = await store.transaction("normal", insertKeys);
    const { secret } = await store.transaction("normal", (tx) => insertSecret(tx, dataKey));
    const { id, mac } = secret;
    const change = { id, keyId: key.id, currentVersion: 3, updatedAt: 3, mac };
    const version = versionRow({ secretId: id, dataKeyId: dataKey.id, version: 3 });
    const stale = [
      (tx: StoreTransaction) => tx.secrets.addVersion(change, version, 2),
      (tx: StoreTransaction) => tx.secrets.tombstone({ id, deletedAt: 3, mac }, 2),
    ];
    for (const step of stale) {
      const caught = store.transaction("normal", (tx) => step(tx).catch(() => undefined));
      await fails("ERR_CONFLICT", caught);
      expect((await store.secrets.listVersions(id)).map((row) => row.version)).toEqual([1]);
      expect(await store.counts()).toMatchObject({ secrets: 1 });
    }
  });

  it("remove no version as an orphan whose secret is there", async () => {
    const store = await database.newStore();
    const { dataKey } = await store.transaction("normal", insertKeys);
    const { secret } = await store.transaction("normal", (tx) => insertSecret(tx, dataKey));
    const version = { secretId: secret.id, version: 1 };
    expect(await store.transaction("normal", (tx) => tx.secrets.removeOrphan(version))).toBe(false);
    expect(await store.secrets.listVersions(secret.id)).toHaveLength(1);
  });

  it("are unusable when they have ended", async () => {
    const store = await database.newStore();
    let kept: StoreTransaction | undefined;
    await store.transaction("normal", async (tx) => {
      kept = tx;
    });
    await fails("ERR_CLOSED", kept!.keys.insert(keyRow()));
    await fails("ERR_CLOSED", kept!.keys.list());
    expect(await names(store)).toEqual([]);
  });

  it("a failed one does not stop the next", async () => {
    const store = await database.newStore();
    const work = [1, 2, 3, 4].map((number) =>
      store.transaction(number % 2 ? "full" : "normal", async (tx) => {
        await tx.keys.insert(keyRow({ name: `k${number}` }));
        if (number % 2) throw new Error("odd");
      }),
    );
    const results = await Promise.allSettled(work);
    expect(results.map((result) => result.status)).toEqual([
      "rejected",
      "fulfilled",
      "rejected",
      "fulfilled",
    ]);
    expect(await names(store)).toEqual(["k2", "k4"]);
  });

  it("two stores of one process on one database: no lost update, both see each other's commits", async () => {
    const one = await database.newStore();
    const two = await database.reopen(one);
    const { dataKey } = await one.transaction("normal", insertKeys);
    const reserve = (store: typeof one) =>
      store.transaction("normal", (tx) => tx.dataKeys.reserve(dataKey.id, 1, 1));
    await Promise.all(Array.from({ length: 50 }, (_, index) => reserve(index % 2 ? one : two)));
    expect((await two.dataKeys.find(dataKey.id))?.messages).toBe(50);
    expect((await one.dataKeys.find(dataKey.id))?.messages).toBe(50);
  });

  it("a writer that stays busy is ERR_BUSY, retryable, and nothing hangs", async () => {
    const one = await database.newStore();
    const two = await database.reopen(one, { busyTimeoutMs: 100 });
    const [inside, done] = [gate(), gate()];
    const holding = one.transaction("normal", async (tx) => {
      // On a server the turn has come when the first statement is answered.
      await tx.counts();
      inside.resolve();
      await done.promise;
    });
    await inside.promise;
    const error = await fails(
      "ERR_BUSY",
      two.transaction("normal", async () => undefined),
    );
    expect(error.retryable).toBe(true);
    expect(error.message).toContain(one.location);
    expect(await two.keys.list()).toEqual([]);
    done.resolve();
    await holding;
    await two.transaction("normal", async (tx) => void (await tx.vault.insert(vaultRow())));
  });

  it("close waits for what runs, and ends everything else with ERR_CLOSED", async () => {
    const store = await database.newStore();
    const done = gate();
    const running = store.transaction("full", async (tx) => {
      await done.promise;
      await tx.keys.insert(keyRow());
    });
    const closing = store.close();
    await fails(
      "ERR_CLOSED",
      store.transaction("full", async () => undefined),
    );
    await fails("ERR_CLOSED", store.keys.list());
    await fails(
      "ERR_CLOSED",
      store.withLock(async () => undefined),
    );
    await fails("ERR_CLOSED", store.integrityCheck());
    done.resolve();
    await running;
    await closing;
    await store.close();
    const again = await database.reopen(store);
    expect(await names(again)).toEqual(["default"]);
  });

  it("await using closes it", async () => {
    const store = await database.newStore();
    {
      await using other = await database.reopen(store, { mode: "read" });
      expect(await other.keys.list()).toEqual([]);
    }
    expect(await store.keys.list()).toEqual([]);
  });

  it("integrityCheck is empty for a sound store", async () => {
    const store = await database.newStore();
    await store.transaction("full", async (tx) => insertSecret(tx, (await insertKeys(tx)).dataKey));
    expect(await store.integrityCheck()).toEqual([]);
  });
});

it("durability sets synchronous before the transaction begins", async () => {
  const seen: string[] = [];
  class Recording extends Sqlite {
    override exec(sql: string) {
      seen.push(sql);
      return super.exec(sql);
    }
    override prepare(sql: string) {
      if (!sql.startsWith("begin")) return super.prepare(sql);
      const begin = super.prepare(sql);
      const level = super.prepare("pragma synchronous");
      return {
        ...begin,
        get: () => undefined,
        all: () => [],
        run: () => {
          seen.push(JSON.stringify(level.get()));
          return begin.run();
        },
      };
    }
  }
  const store = await newStore({ sqlite: Recording });
  for (const durability of ["normal", "full", "full", "normal"] as const) {
    await store.transaction(durability, async () => undefined);
  }
  // 1 is NORMAL, 2 is FULL.
  expect(seen.filter((line) => line.startsWith("{"))).toEqual(
    [1, 2, 2, 1].map((level) => `{"synchronous":${level}}`),
  );
  expect(seen.filter((line) => line.startsWith("pragma synchronous"))).toHaveLength(3);
});

it.each([
  ["drop table audit_head", "table audit_head is missing"],
  ["alter table keys drop column last_used_at", "table keys was altered"],
  ["drop index data_keys_active", "index data_keys_active is missing"],
  ["create trigger t after insert on keys begin select 1; end", "trigger t is not one of lango's"],
  ["update counters set secrets = 7", "the counter of secrets says 7, there are 1"],
  ["delete from counters", "the counter of keys says nothing, there are 1"],
])("integrityCheck finds: %s", async (sql, fault) => {
  const store = await newStore();
  await store.transaction("full", async (tx) => insertSecret(tx, (await insertKeys(tx)).dataKey));
  await store.close();
  const database = new Sqlite(store.location, {});
  database.exec(sql);
  database.close();
  const damaged = await open({ file: store.location, mode: "read" });
  expect(await damaged.integrityCheck()).toContain(fault);
});
