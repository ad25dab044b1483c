import type { Store, StoreTransaction } from "@lango/store";
import { describe, expect, it } from "vitest";
import { DATABASES, fails, insertKeys, insertSecret } from "./helpers.ts";
import {
  auditRow,
  bytes,
  companionRow,
  dataKeyRow,
  keyRow,
  keyVersionRow,
  permitRow,
  policyRow,
  resultRow,
  vaultRow,
  versionRow,
} from "./rows.ts";

const full = <T>(store: Store, run: Parameters<typeof store.transaction<T>>[1]) =>
  store.transaction("full", run);

describe.each(DATABASES)("tables with %s", (_, database) => {
  it("vault: one row, changed by compare-and-set on its mac", async () => {
    const store = await database.newStore();
    expect(await store.vault.get()).toBeUndefined();
    const row = vaultRow();
    await full(store, (tx) => tx.vault.insert(row));
    expect(await store.vault.get()).toEqual(row);
    await fails(
      "ERR_CONFLICT",
      full(store, (tx) => tx.vault.insert(vaultRow())),
    );

    const ready = vaultRow({
      ...row,
      state: "ready",
      pendingGeneration: 2,
      pendingMac: bytes(32),
      mac: bytes(32),
    });
    await full(store, (tx) => tx.vault.update(ready, row.mac));
    expect(await store.vault.get()).toEqual(ready);
    await fails(
      "ERR_CONFLICT",
      full(store, (tx) => tx.vault.update(row, row.mac)),
    );
    expect(await store.vault.get()).toEqual(ready);
  });

  it("companions: changed and removed by compare-and-set on the mac", async () => {
    const store = await database.newStore();
    const [phone, tablet] = [companionRow(), companionRow({ name: "Tablet", role: "agent" })];
    await full(store, async (tx) => {
      await tx.companions.insert(tablet);
      await tx.companions.insert(phone);
    });
    expect(await store.companions.list()).toEqual([phone, tablet]);
    expect(await store.companions.find(phone.id)).toEqual(phone);
    expect(await store.companions.findByFingerprint(tablet.fingerprint)).toEqual(tablet);
    expect(await store.companions.findByFingerprint("none")).toBeUndefined();

    const { id, pairedAt, role } = phone;
    const changed = companionRow({ id, pairedAt, role, name: "New", state: "suspended" });
    await full(store, (tx) => tx.companions.update(changed, phone.mac));
    expect(await store.companions.find(id)).toEqual(changed);
    expect(await store.companions.findByFingerprint(phone.fingerprint)).toBeUndefined();
    for (const run of [
      (tx) => tx.companions.update(phone, phone.mac),
      (tx) => tx.companions.update({ ...tablet, fingerprint: changed.fingerprint }, tablet.mac),
      (tx) => tx.companions.insert(companionRow({ id })),
      (tx) => tx.companions.insert(companionRow({ fingerprint: tablet.fingerprint })),
      (tx) => tx.companions.remove(id, phone.mac),
    ] satisfies ((tx: StoreTransaction) => Promise<void>)[]) {
      await fails("ERR_CONFLICT", full(store, run));
    }
    await full(store, (tx) => tx.companions.remove(id, changed.mac));
    expect(await store.companions.list()).toEqual([tablet]);
  });

  it("results of requests: the first one stays, old ones go", async () => {
    const store = await database.newStore();
    const [old, young] = [resultRow({ createdAt: 1 }), resultRow({ createdAt: 2 })];
    const put = (row: typeof old) => full(store, (tx) => tx.companions.insertResult(row));
    expect([await put(old), await put(young)]).toEqual([true, true]);
    expect(await put(resultRow({ requestId: old.requestId }))).toBe(false);
    expect(await put(resultRow({ requestId: old.requestId, peerId: "other" }))).toBe(true);
    expect(await store.companions.findResult("peer", old.requestId)).toEqual(old);
    await full(store, (tx) => tx.companions.pruneResults(2));
    expect(await store.companions.findResult("peer", old.requestId)).toBeUndefined();
    expect(await store.companions.findResult("peer", young.requestId)).toEqual(young);
    await full(store, (tx) => tx.companions.insert(companionRow()));
    await full(store, (tx) => tx.reset());
    expect(await store.companions.list()).toEqual([]);
    expect(await store.companions.findResult("peer", young.requestId)).toBeUndefined();
  });

  it("keys and their versions", async () => {
    const store = await database.newStore();
    const key = keyRow({ publicKey: bytes(91), type: "signing" });
    const other = keyRow({ name: "another", remoteKeyId: "arn:x" });
    const [v1, v2] = [
      keyVersionRow({ keyId: key.id, publicKey: bytes(91) }),
      keyVersionRow({ keyId: key.id, version: "2", sealed: null, createdAt: 1_800_000_000_000 }),
    ];
    await full(store, async (tx) => {
      await tx.keys.insert(key);
      await tx.keys.insert(other);
      await tx.keys.insertVersion(v2);
      await tx.keys.insertVersion(v1);
    });
    expect(await store.keys.find(key.id)).toEqual(key);
    expect(await store.keys.findByName("another")).toEqual(other);
    expect(await store.keys.find("none")).toBeUndefined();
    expect(await store.keys.list()).toEqual([other, key]);
    expect(await store.keys.findVersion(key.id, "2")).toEqual(v2);
    expect(await store.keys.listVersions(key.id)).toEqual([v1, v2]);

    const changed = { ...key, keyVersion: "2", state: "disabled", mac: bytes(32) };
    const retired = { ...v1, state: "retired", mac: bytes(32) };
    await full(store, async (tx) => {
      await tx.keys.update(changed, key.mac);
      await tx.keys.updateVersion(retired, v1.mac);
      await tx.keys.touch(key.id, 20);
      await tx.keys.touch(key.id, 10);
    });
    expect(await store.keys.find(key.id)).toEqual({ ...changed, lastUsedAt: 20 });
    expect(await store.keys.findVersion(key.id, "1")).toEqual(retired);

    await fails(
      "ERR_CONFLICT",
      full(store, (tx) => tx.keys.update(changed, key.mac)),
    );
    await fails(
      "ERR_CONFLICT",
      full(store, (tx) => tx.keys.updateVersion(v1, v1.mac)),
    );
    await fails(
      "ERR_CONFLICT",
      full(store, (tx) => tx.keys.insert(keyRow())),
    );
    await fails(
      "ERR_CONFLICT",
      full(store, (tx) => tx.keys.insertVersion(v1)),
    );
    await fails(
      "ERR_CONFLICT",
      full(store, (tx) => tx.keys.insertVersion(keyVersionRow({ keyId: "none" }))),
    );
    expect((await store.counts()).keys).toBe(2);
  });

  it("data keys: one active for a key and domain, counts reserved up to the limits", async () => {
    const store = await database.newStore();
    const { dataKey } = await full(store, insertKeys);
    expect(await store.dataKeys.find(dataKey.id)).toEqual(dataKey);
    expect(await store.dataKeys.findActive(dataKey.keyId, "secrets")).toEqual(dataKey);
    expect(await store.dataKeys.findActive(dataKey.keyId, "messages")).toBeUndefined();
    const second = dataKeyRow({
      keyId: dataKey.keyId,
      degraded: true,
      createdAt: 1_800_000_000_000,
    });
    await fails(
      "ERR_CONFLICT",
      full(store, (tx) => tx.dataKeys.insert(second)),
    );

    const old = { ...dataKey, state: "decrypt-only" as const, mac: bytes(32) };
    await full(store, async (tx) => {
      await tx.dataKeys.update(old, dataKey.mac);
      await tx.dataKeys.insert(second);
    });
    expect(await store.dataKeys.list()).toEqual([old, second]);
    await fails(
      "ERR_CONFLICT",
      full(store, (tx) => tx.dataKeys.update(old, dataKey.mac)),
    );
    await fails(
      "ERR_CONFLICT",
      full(store, (tx) => tx.dataKeys.update({ ...old, state: "active" }, old.mac)),
    );

    const reserve = (id: string, messages: number, size: number) =>
      full(store, (tx) => tx.dataKeys.reserve(id, messages, size));
    expect(await reserve(second.id, 16, 1000)).toEqual({ messages: 16, bytes: 1000 });
    expect(await reserve(second.id, 2 ** 30 - 16, 0)).toEqual({ messages: 2 ** 30, bytes: 1000 });
    await fails("ERR_KEY_RETIRED", reserve(second.id, 1, 0));
    await fails("ERR_KEY_RETIRED", reserve(old.id, 1, 0));
    await fails("ERR_KEY_RETIRED", reserve("none", 1, 0));
    expect(await reserve(second.id, 0, 2 ** 50 - 1000)).toEqual({
      messages: 2 ** 30,
      bytes: 2 ** 50,
    });
    await fails("ERR_KEY_RETIRED", reserve(second.id, 0, 1));
    expect((await store.counts()).dataKeys).toBe(2);
  });

  it("secrets: versions, history, tombstones", async () => {
    const store = await database.newStore();
    const { dataKey } = await full(store, insertKeys);
    const { secret, version } = await full(store, (tx) => insertSecret(tx, dataKey));
    const current = { ...secret, dataKeyId: dataKey.id, sealed: version.sealed, size: 100 };
    expect(await store.secrets.find("secrets", secret.name)).toEqual(current);
    expect(await store.secrets.find("other", secret.name)).toBeUndefined();
    expect(await store.secrets.describe("secrets", secret.name)).toEqual(secret);
    await fails(
      "ERR_CONFLICT",
      full(store, (tx) => insertSecret(tx, dataKey)),
    );

    const add = (number: number, ifVersion = number - 1, dataKeyId = dataKey.id) => {
      const change = {
        id: secret.id,
        keyId: dataKey.keyId,
        currentVersion: number,
        updatedAt: number,
        mac: bytes(32),
      };
      const next = versionRow({ secretId: secret.id, dataKeyId, version: number, size: number });
      return full(store, async (tx) => {
        await tx.secrets.addVersion(change, next, ifVersion);
        return { change, next, pruned: await tx.secrets.pruneVersions(secret.id, 10) };
      });
    };
    for (let number = 2; number <= 10; number++) expect((await add(number)).pruned).toBe(0);
    const { next, pruned, change } = await add(11);
    expect(pruned).toBe(1);
    expect(await store.secrets.find("secrets", secret.name)).toMatchObject({
      ...change,
      size: 11,
      sealed: next.sealed,
    });
    expect(await store.secrets.findVersion(secret.id, 11)).toEqual(next);
    expect(await store.secrets.findVersion(secret.id, 1)).toBeUndefined();
    const { sealed: __, ...info } = next;
    const history = await store.secrets.listVersions(secret.id);
    expect(history.map((row) => row.version)).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    expect(history[0]).toEqual(info);

    // Somebody else was faster; an old data key; both leave everything as it was.
    await fails("ERR_CONFLICT", add(11, 10));
    await full(store, (tx) =>
      tx.dataKeys.update({ ...dataKey, state: "decrypt-only" }, dataKey.mac),
    );
    const retired = await fails("ERR_KEY_RETIRED", add(12));
    expect(retired.retryable).toBe(true);
    expect((await store.secrets.find("secrets", secret.name))?.currentVersion).toBe(11);
    await fails(
      "ERR_KEY_RETIRED",
      full(store, (tx) => insertSecret(tx, dataKey, { name: "b" })),
    );
    expect(await store.secrets.describe("secrets", "b")).toBeUndefined();
    await full(store, (tx) => tx.dataKeys.update(dataKey, dataKey.mac));

    expect((await store.counts()).secrets).toBe(1);
    const grave = { id: secret.id, deletedAt: 77, mac: bytes(32) };
    await fails(
      "ERR_CONFLICT",
      full(store, (tx) => tx.secrets.tombstone(grave, 10)),
    );
    await full(store, (tx) => tx.secrets.tombstone(grave, 11));
    await fails(
      "ERR_CONFLICT",
      full(store, (tx) => tx.secrets.tombstone(grave, 11)),
    );
    expect(await store.secrets.find("secrets", secret.name)).toBeUndefined();
    expect(await store.secrets.listVersions(secret.id)).toEqual([]);
    expect(await store.secrets.list({ collection: "secrets" })).toEqual([]);
    const buried = await store.secrets.describe("secrets", secret.name);
    expect(buried).toMatchObject({
      currentVersion: 11,
      deletedAt: 77,
      updatedAt: 77,
      mac: grave.mac,
    });
    expect((await store.counts()).secrets).toBe(0);

    await add(12);
    expect(await store.secrets.find("secrets", secret.name)).toMatchObject({
      currentVersion: 12,
      deletedAt: null,
    });
    expect((await store.counts()).secrets).toBe(1);
  });

  it("secrets: uses add up, the time of the last never goes back", async () => {
    const store = await database.newStore();
    const { secret } = await full(store, async (tx) =>
      insertSecret(tx, (await insertKeys(tx)).dataKey),
    );
    for (const [uses, at] of [
      [1, 50],
      [3, 40],
      [1, 60],
    ] as const) {
      await full(store, (tx) => tx.secrets.touch(secret.id, uses, at));
    }
    expect(await store.secrets.describe("secrets", secret.name)).toMatchObject({
      uses: 5,
      lastUsedAt: 60,
      mac: secret.mac,
    });
  });

  it("secrets: pages by name in the order of UTF-8 bytes, each row once", async () => {
    const store = await database.newStore();
    const names = ["Z", "a", "a/b", "a0", "b", "é", "😀", "\uffee"];
    await full(store, async (tx) => {
      const { dataKey } = await insertKeys(tx);
      for (const name of names) await insertSecret(tx, dataKey, { name });
      await insertSecret(tx, dataKey, { name: "c", collection: "other" });
    });
    const found: string[] = [];
    for (;;) {
      const page = await store.secrets.list({
        collection: "secrets",
        after: found.at(-1) ?? "",
        limit: 3,
      });
      found.push(...page.map((row) => row.name));
      if (page.length < 3) break;
    }
    expect(found).toEqual(["Z", "a", "a/b", "a0", "b", "é", "\uffee", "😀"]);
    for (const limit of [0, 1001, 1.5, Number.NaN]) {
      await fails("ERR_INVALID_ARGUMENT", store.secrets.list({ collection: "secrets", limit }));
    }
  });

  it("audit: appends behind the head only, pages and tail in order", async () => {
    const store = await database.newStore();
    expect(await store.audit.head()).toEqual({ seq: 0, hash: new Uint8Array(32), epoch: 1 });
    const rows = [auditRow({ seq: 1 })];
    for (let seq = 2; seq <= 5; seq++) rows.push(auditRow({ seq, prev: rows[seq - 2]!.hash }));
    await full(store, async (tx) => {
      expect((await tx.audit.lockHead()).seq).toBe(0);
      await tx.audit.append([]);
      await tx.audit.append(rows.slice(0, 2));
      expect(await tx.audit.lockHead()).toEqual({ seq: 2, hash: rows[1]!.hash, epoch: 1 });
      await tx.audit.append(rows.slice(2));
    });
    expect(await store.audit.head()).toEqual({ seq: 5, hash: rows[4]!.hash, epoch: 1 });
    expect(await store.audit.page(2, 2)).toEqual(rows.slice(1, 3));
    expect(await store.audit.tail(3)).toEqual(rows.slice(2));
    expect((await store.counts()).auditRows).toBe(5);

    const next = auditRow({ seq: 6, prev: rows[4]!.hash });
    for (const wrong of [
      [auditRow({ seq: 6 })],
      [{ ...next, seq: 7 }],
      [rows[0]!],
      [next, auditRow({ seq: 8, prev: next.hash })],
    ]) {
      const error = await fails(
        "ERR_CONFLICT",
        full(store, (tx) => tx.audit.append(wrong)),
      );
      expect(error.message).not.toContain('seq":');
    }
    const { mac } = rows[4]!;
    const other = Uint8Array.from(mac, (byte) => byte ^ 1);
    const strange = full(store, async (tx) => {
      await expect(tx.audit.append([next], other)).rejects.toThrow("Row 5 of the log was written");
    });
    await fails("ERR_INTEGRITY", strange);
    expect((await store.audit.head()).seq).toBe(5);
    expect(await store.audit.page(6, 10)).toEqual([]);
    await full(store, (tx) => tx.audit.append([next], mac));
    expect(await store.audit.head()).toEqual({ seq: 6, hash: next.hash, epoch: 1 });
    for (const limit of [0, 1001]) {
      await fails("ERR_INVALID_ARGUMENT", store.audit.page(1, limit));
      await fails("ERR_INVALID_ARGUMENT", store.audit.tail(limit));
    }
  });

  it("permits are listed by kind and subject, oldest first, and used by whoever knows the MAC", async () => {
    const store = await database.newStore();
    const old = permitRow({ createdAt: 1 });
    const [young, other] = [permitRow({ createdAt: 2 }), permitRow({ subject: "mail" })];
    const handle = permitRow({ kind: "handle", maxUses: 1, dangerous: true });
    const permits = [young, old, other, handle];
    await full(store, async (tx) => {
      for (const permit of permits) await tx.permits.insert(permit);
    });
    expect(await store.permits.list("grant")).toEqual([old, young, other]);
    expect(await store.permits.listFor("grant", "exec")).toEqual([old, young]);
    expect(await store.permits.listFor("handle", "exec")).toEqual([handle]);
    await fails(
      "ERR_CONFLICT",
      full(store, (tx) => tx.permits.insert({ ...other, id: old.id })),
    );

    const used = { ...old, uses: 1, lastUsedAt: 5, mac: bytes(32) };
    await full(store, (tx) => tx.permits.use({ ...used, subject: "mail", expiresAt: 9 }, old.mac));
    expect(await store.permits.find(old.id)).toEqual(used);
    await fails(
      "ERR_CONFLICT",
      full(store, (tx) => tx.permits.use({ ...used, uses: 2 }, old.mac)),
    );
    await full(store, async (tx) => {
      await tx.permits.remove(old.id);
      await tx.permits.remove(old.id);
    });
    expect(await store.permits.list("grant")).toEqual([young, other]);
  });

  it("policies are replaced by subject", async () => {
    const store = await database.newStore();
    const [first, second] = [policyRow(), policyRow({ content: '{"a":1}', updatedAt: 9 })];
    const other = policyRow({ subject: "secrets/api" });
    for (const row of [first, other, second]) await full(store, (tx) => tx.policies.put(row));
    expect(await store.policies.list()).toEqual([second, other]);
    await full(store, async (tx) => {
      await tx.policies.remove("approvals");
      await tx.policies.remove("approvals");
    });
    expect(await store.policies.find("approvals")).toBeUndefined();
  });

  it("reset empties every table, and a vault can be made again", async () => {
    const store = await database.newStore();
    const fill = () =>
      full(store, async (tx) => {
        await tx.vault.insert(vaultRow());
        const { key, dataKey } = await insertKeys(tx);
        await tx.keys.insertVersion(keyVersionRow({ keyId: key.id }));
        await insertSecret(tx, dataKey);
        await tx.permits.insert(permitRow());
        await tx.policies.put(policyRow());
        await tx.audit.append([auditRow({ seq: 1 })]);
      });
    await fill();
    await full(store, (tx) => tx.reset());
    expect(await store.vault.get()).toBeUndefined();
    expect(await store.permits.list("grant")).toEqual([]);
    expect(await store.policies.list()).toEqual([]);
    expect(await store.counts()).toEqual({ secrets: 0, keys: 0, dataKeys: 0, auditRows: 0 });
    await fill();
    expect(await store.counts()).toEqual({ secrets: 1, keys: 1, dataKeys: 1, auditRows: 1 });
  });

  it("returns plain Uint8Arrays over memory of their own", async () => {
    const store = await database.newStore();
    await full(store, async (tx) => insertSecret(tx, (await insertKeys(tx)).dataKey));
    const found = await store.secrets.find("secrets", "api/token");
    for (const value of [found?.sealed, found?.mac]) {
      expect(Object.getPrototypeOf(value)).toBe(Uint8Array.prototype);
      expect(value?.buffer.byteLength).toBe(value?.byteLength);
    }
  });
});
