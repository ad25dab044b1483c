import type { RawRow, Store } from "@lango/store";
import { describe, expect, it } from "vitest";
import { fails, insertKeys, insertSecret, KINDS } from "./helpers.ts";
import { auditRow, bytes, companionRow, permitRow, policyRow, vaultRow } from "./rows.ts";

const all = async ({ copy }: Store, table: string, limit: number): Promise<RawRow[]> => {
  const rows: RawRow[] = [];
  for (;;) {
    const page = await copy.page(table, { after: rows.at(-1), limit, maxBytes: 10_000 });
    if (page.length === 0) return rows;
    rows.push(...page);
  }
};

/** Every table but those of jobs and results. */
const fill = (store: Store): Promise<void> =>
  store.transaction("full", async (tx) => {
    await tx.vault.insert(vaultRow());
    const { dataKey } = await insertKeys(tx);
    // More than one statement of many rows, and some that are left over.
    for (let index = 0; index < 70; index += 1) {
      await insertSecret(tx, dataKey, { name: `n${index}` });
    }
    await tx.companions.insert(companionRow());
    await tx.permits.insert(permitRow());
    await tx.policies.put(policyRow());
    await tx.audit.append([auditRow({ seq: 1 })]);
  });

describe.each(KINDS)("whole tables of %s", (_, database) => {
  it("come in pages by their keys and go into an empty database as they are", async () => {
    const [from, to] = [await database.newStore(), await database.newStore()];
    await fill(from);
    for (const table of from.copy.tables) {
      const rows = await all(from, table, 50);
      expect(rows).toHaveLength(await from.copy.count(table));
      await to.transaction("full", (tx) => tx.copy.insert(table, rows));
      expect(await all(to, table, 7)).toEqual(rows);
    }
    expect(await to.counts()).toEqual(await from.counts());
    expect(await to.integrityCheck()).toEqual([]);
    expect(await to.vault.get()).toEqual(await from.vault.get());
    await fails("ERR_INVALID_ARGUMENT", from.copy.page("keys", { limit: 0, maxBytes: 1 }));
  });

  it("have pages of one row at least, however large its value is", async () => {
    const store = await database.newStore();
    await fill(store);
    const page = await store.copy.page("secret_versions", { limit: 50, maxBytes: 0 });
    expect(page).toHaveLength(1);
  });

  it("end where a vault was moved away: the log takes no more, what is there stays", async () => {
    const store = await database.newStore();
    await fill(store);
    const row = auditRow({ seq: 2, prev: (await store.audit.head()).hash });
    expect(await store.audit.movedTo()).toBeUndefined();
    const end = store.transaction("full", async (tx) => {
      await tx.audit.lockHead();
      await tx.audit.endHere("postgres://db.example/ä");
      throw new Error("given up");
    });
    await expect(end).rejects.toThrow("given up");
    expect(await store.audit.movedTo()).toBeUndefined();
    await store.transaction("full", (tx) => tx.audit.endHere("postgres://db.example/ä"));
    expect(await store.audit.movedTo()).toBe("postgres://db.example/ä");
    await fails(
      "ERR_CONFLICT",
      store.transaction("full", (tx) => tx.audit.lockHead()),
    );
    await fails(
      "ERR_CONFLICT",
      store.transaction("full", (tx) => tx.audit.append([row])),
    );
    expect((await store.audit.page(1, 10)).map(({ seq }) => seq)).toEqual([1]);
    await store.transaction("full", (tx) => tx.reset());
    expect(await store.audit.movedTo()).toBeUndefined();
  });

  it("keyslots: one row, changed by compare-and-set on its generation", async () => {
    const store = await database.newStore();
    expect(await store.keyslots.get()).toBeUndefined();
    const row = { generation: 1, document: bytes(600) };
    await store.transaction("full", (tx) => tx.keyslots.insert(row));
    expect(await store.keyslots.get()).toEqual(row);
    await fails(
      "ERR_CONFLICT",
      store.transaction("full", (tx) => tx.keyslots.insert(row)),
    );
    const next = { generation: 2, document: bytes(700) };
    await store.transaction("full", (tx) => tx.keyslots.replace(next, 1));
    expect(await store.keyslots.get()).toEqual(next);
    await fails(
      "ERR_CONFLICT",
      store.transaction("full", (tx) => tx.keyslots.replace(row, 1)),
    );
    expect(await store.keyslots.get()).toEqual(next);
  });
});
