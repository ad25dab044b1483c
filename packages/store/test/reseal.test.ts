import { setTimeout } from "node:timers/promises";
import type { DataKeyRow, Reseal, Store } from "@lango/store";
import { describe, expect, it } from "vitest";
import { type Database, fails, insertKeys, insertSecret, KINDS } from "./helpers.ts";
import { bytes, dataKeyRow, versionRow } from "./rows.ts";

const PAGE = { limit: 1_000, maxBytes: 2 ** 30 };

/** A key with an old data key and an active one; `count` secrets under the old one. */
async function prepared(
  database: Database,
  count: number,
): Promise<{
  store: Store;
  old: DataKeyRow;
  active: DataKeyRow;
  values: Reseal[];
}> {
  const store = await database.newStore();
  return store.transaction("full", async (tx) => {
    const { key, dataKey } = await insertKeys(tx);
    const values: Reseal[] = [];
    const active = dataKeyRow({ keyId: key.id });
    for (let i = 0; i < count; i++) {
      const { secret, version } = await insertSecret(tx, dataKey, { name: `n${i}` });
      const { sealed: before } = version;
      const again = { secretId: secret.id, version: 1, before, dataKeyId: active.id };
      values.push({ ...again, sealed: bytes(90) });
    }
    const old: DataKeyRow = { ...dataKey, state: "decrypt-only", mac: bytes(32) };
    await tx.dataKeys.update(old, dataKey.mac);
    await tx.dataKeys.insert(active);
    return { store, old, active, values };
  });
}

const retiredOf = (row: DataKeyRow): DataKeyRow => ({
  ...row,
  wrapped: new Uint8Array(),
  state: "retired",
  mac: bytes(32),
});

describe.each(KINDS)("re-sealing with %s", (_, database) => {
  it("moves versions from one data key to another", async () => {
    const { store, old, active, values } = await prepared(database, 3);
    expect(await store.secrets.countSealedBy(old.id)).toBe(3);
    const done = await store.transaction("normal", (tx) => tx.secrets.reseal(values));
    expect(done).toEqual([true, true, true]);
    expect(await store.secrets.countSealedBy(old.id)).toBe(0);
    expect(await store.secrets.listSealedBy(old.id, PAGE)).toEqual([]);
    const found = await store.secrets.listSealedBy(active.id, PAGE);
    expect(found.map(({ id, sealed }) => [id, sealed]).sort()).toEqual(
      values.map(({ secretId, sealed }) => [secretId, sealed]).sort(),
    );
  });

  it("leaves what was sealed again or removed meanwhile as it is", async () => {
    const { store, values } = await prepared(database, 3);
    const [first, second, third] = values as [Reseal, Reseal, Reseal];
    await store.transaction("full", async (tx) => {
      await tx.secrets.reseal([first]);
      const tombstone = { id: second.secretId, deletedAt: 3, mac: bytes(32) };
      await tx.secrets.tombstone(tombstone, 1);
    });
    const late = [{ ...first, sealed: bytes(91) }, second, third];
    const done = await store.transaction("full", (tx) => tx.secrets.reseal(late));
    expect(done).toEqual([false, false, true]);
    expect((await store.secrets.findVersion(first.secretId, 1))?.sealed).toEqual(first.sealed);
  });

  it("waits for writers that have used a data key before it is left", async () => {
    const { store, active } = await prepared(database, 0);
    const other = await database.reopen(store);
    const order: string[] = [];
    const written = Promise.withResolvers<void>();
    const writing = store.transaction("full", async (tx) => {
      await insertSecret(tx, active);
      written.resolve();
      await setTimeout(300);
      order.push("written");
    });
    await written.promise;
    const left: DataKeyRow = { ...active, state: "decrypt-only", mac: bytes(32) };
    await other.transaction("full", (tx) => tx.dataKeys.update(left, active.mac));
    order.push("left");
    await writing;
    expect(order).toEqual(["written", "left"]);
    // So a rotation that begins with this sees every value that it has to seal again.
    expect(await other.secrets.countSealedBy(active.id)).toBe(1);
  });

  it("takes only an active data key, and then nothing of the batch is written", async () => {
    const { store, old, active, values } = await prepared(database, 2);
    const [first, second] = values as [Reseal, Reseal];
    for (const dataKeyId of [old.id, "0".repeat(24)]) {
      await fails("ERR_KEY_RETIRED", () =>
        store.transaction("full", (tx) => tx.secrets.reseal([first, { ...second, dataKeyId }])),
      );
    }
    // Also when the error is caught.
    await fails("ERR_KEY_RETIRED", () =>
      store.transaction("full", async (tx) => {
        await tx.secrets.reseal([first, { ...second, dataKeyId: old.id }]).catch(() => undefined);
      }),
    );
    expect(await store.secrets.countSealedBy(active.id)).toBe(0);
  });
});

describe.each(KINDS)("pages of sealed versions with %s", (_, database) => {
  it("end by rows and by bytes, and have one row at least", async () => {
    const { store, old, values } = await prepared(database, 9);
    const size = values[0]?.before.length ?? 0;
    const listed = async (limit: number, maxBytes: number) =>
      (await store.secrets.listSealedBy(old.id, { limit, maxBytes })).length;
    expect(await listed(4, 2 ** 30)).toBe(4);
    expect(await listed(1_000, size * 9)).toBe(9);
    expect(await listed(8, size * 4)).toBe(4);
    expect(await listed(8, size * 3)).toBe(2);
    expect(await listed(8, 1)).toBe(1);
    await fails("ERR_INVALID_ARGUMENT", () => listed(0, 1));
    await fails("ERR_INVALID_ARGUMENT", () => listed(1_001, 1));
  });

  it("pass over as many as they are told to", async () => {
    const { store, old } = await prepared(database, 5);
    const all = await store.secrets.listSealedBy(old.id, PAGE);
    const page = { limit: 2, maxBytes: 2 ** 30 };
    expect(await store.secrets.listSealedBy(old.id, page, 2)).toEqual(all.slice(2, 4));
    expect(await store.secrets.listSealedBy(old.id, { ...page, maxBytes: 1 }, 4)).toEqual([all[4]]);
    expect(await store.secrets.listSealedBy(old.id, page, 5)).toEqual([]);
  });

  it("walk over all versions of all collections and data keys, once", async () => {
    const { store, active, values } = await prepared(database, 5);
    await store.transaction("full", async (tx) => {
      await tx.secrets.reseal(values.slice(0, 2));
      const { secret } = await insertSecret(tx, active, { collection: "other" });
      for (const version of [2, 3]) {
        const change = { ...secret, currentVersion: version, updatedAt: 2, mac: bytes(32) };
        const row = versionRow({ secretId: secret.id, dataKeyId: active.id, version });
        await tx.secrets.addVersion(change, row, version - 1);
      }
    });
    const seen: string[] = [];
    for (let after: { id: string; version: number } | undefined; ; ) {
      const page = await store.secrets.walkSealed(after, { limit: 3, maxBytes: 2 ** 30 });
      const last = page.at(-1);
      if (!last) break;
      seen.push(...page.map(({ id, version }) => `${id}@${version}`));
      after = last;
    }
    expect(seen).toHaveLength(8);
    expect(seen).toEqual([...new Set(seen)].sort());
  });
});

describe.each(KINDS)("retiring a data key with %s", (_, database) => {
  it("destroys the wrapped bytes of one that no version needs", async () => {
    const { store, old, values } = await prepared(database, 1);
    const gone = retiredOf(old);
    const retire = () => store.transaction("full", (tx) => tx.dataKeys.retire(gone, old.mac));
    expect(await retire()).toBe(false);
    expect(await store.dataKeys.find(old.id)).toEqual(old);
    await store.transaction("full", (tx) => tx.secrets.reseal(values));
    expect(await retire()).toBe(true);
    expect(await store.dataKeys.find(old.id)).toEqual(gone);
  });

  it("is refused for the active one, and for a row that has changed", async () => {
    const { store, old, active } = await prepared(database, 0);
    const retire = (row: DataKeyRow, ifMac = row.mac) =>
      store.transaction("full", (tx) => tx.dataKeys.retire(retiredOf(row), ifMac));
    expect(await retire(active)).toBe(false);
    await fails("ERR_CONFLICT", () => retire(old, bytes(32)));
    await fails("ERR_CONFLICT", () => retire(dataKeyRow({ keyId: old.keyId })));
    expect((await store.dataKeys.list()).map(({ state }) => state).sort()).toEqual([
      "active",
      "decrypt-only",
    ]);
  });
});

describe.each(KINDS)("jobs with %s", (_, database) => {
  const job = (content: string) => ({
    kind: "rotate",
    content,
    startedAt: 1,
    updatedAt: 2,
    mac: bytes(32),
  });

  it("are one for each kind, changed and removed only as they were read", async () => {
    const store = await database.newStore();
    expect(await store.jobs.find("rotate")).toBeUndefined();
    const [first, second] = [job("one"), job("two")];
    await store.transaction("full", (tx) => tx.jobs.put(first));
    expect(await store.jobs.find("rotate")).toEqual(first);
    await fails("ERR_CONFLICT", () => store.transaction("full", (tx) => tx.jobs.put(second)));
    await fails("ERR_CONFLICT", () =>
      store.transaction("full", (tx) => tx.jobs.put(second, second.mac)),
    );
    await store.transaction("full", (tx) => tx.jobs.put(second, first.mac));
    expect(await store.jobs.list()).toEqual([second]);
    await fails("ERR_CONFLICT", () =>
      store.transaction("full", (tx) => tx.jobs.remove("rotate", first.mac)),
    );
    await store.transaction("full", (tx) => tx.jobs.remove("rotate", second.mac));
    expect(await store.jobs.list()).toEqual([]);
  });
});
