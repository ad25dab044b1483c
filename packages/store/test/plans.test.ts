import { readFileSync } from "node:fs";
import type { SqliteConstructor, SqliteDatabase, Store } from "@lango/store";
import { expect, it } from "vitest";
import { fails, insertKeys, insertSecret, newStore, open, Sqlite } from "./helpers.ts";
import {
  auditRow,
  bytes,
  companionRow,
  keyVersionRow,
  permitRow,
  policyRow,
  resultRow,
  vaultRow,
  versionRow,
} from "./rows.ts";

interface Trace {
  readonly sqlite: SqliteConstructor;
  readonly databases: SqliteDatabase[];
  /** Every statement that ran, with the number of rows that it returned. */
  readonly ran: string[];
}

/** The real driver, which also notes what it is asked. */
function traced(): Trace {
  const databases: SqliteDatabase[] = [];
  const ran: string[] = [];
  class Traced extends Sqlite {
    constructor(...args: ConstructorParameters<SqliteConstructor>) {
      super(...args);
      if (!String(args[0]).endsWith(".lock")) databases.push(this);
    }
    override prepare(sql: string) {
      const statement = super.prepare(sql);
      const note = <T>(rows: number, result: T): T => {
        ran.push(`${sql} [${rows}]`);
        return result;
      };
      return {
        get: (...params: unknown[]) => note(1, statement.get(...params)),
        all: (...params: unknown[]) => {
          const rows = statement.all(...params);
          return note(rows.length, rows);
        },
        run: (...params: unknown[]) => note(0, statement.run(...params)),
      };
    }
    override exec(sql: string) {
      ran.push(sql);
      return super.exec(sql);
    }
  }
  return { sqlite: Traced, databases, ran };
}

/** Calls everything whose cost could grow with the vault; the lists of keys, data keys, key versions and devices are short. */
async function useAll(store: Store): Promise<void> {
  await store.transaction("full", async (tx) => {
    const vault = vaultRow();
    await tx.vault.insert(vault);
    await tx.vault.update(vault, vault.mac);
    const { key, dataKey } = await insertKeys(tx);
    const version = keyVersionRow({ keyId: key.id });
    await tx.keys.insertVersion(version);
    await tx.keys.updateVersion(version, version.mac);
    await tx.keys.update(key, key.mac);
    await tx.keys.touch(key.id, 1);
    await tx.keys.find(key.id);
    await tx.keys.findByName(key.name);
    await tx.keys.findVersion(key.id, "1");
    await tx.dataKeys.reserve(dataKey.id, 1, 1);
    await tx.dataKeys.update(dataKey, dataKey.mac);
    await tx.dataKeys.find(dataKey.id);
    await tx.dataKeys.findActive(key.id, dataKey.domain);
    const { secret } = await insertSecret(tx, dataKey);
    const change = {
      id: secret.id,
      keyId: key.id,
      currentVersion: 2,
      updatedAt: 2,
      mac: bytes(32),
    };
    await tx.secrets.addVersion(
      change,
      versionRow({ secretId: secret.id, dataKeyId: dataKey.id, version: 2 }),
      1,
    );
    await tx.secrets.pruneVersions(secret.id, 10);
    await tx.secrets.touch(secret.id, 1, 1);
    await tx.secrets.find("secrets", secret.name);
    await tx.secrets.describe("secrets", secret.name);
    await tx.secrets.findVersion(secret.id, 2);
    await tx.secrets.listVersions(secret.id);
    await tx.secrets.list({ collection: "secrets" });
    await tx.secrets.listSealedBy(dataKey.id, { limit: 250, maxBytes: 1 });
    const [kept] = await tx.secrets.walkSealed(undefined, { limit: 250, maxBytes: 1 });
    await tx.secrets.countSealedBy(dataKey.id);
    await tx.secrets.reseal([
      {
        secretId: secret.id,
        version: kept?.version ?? 0,
        before: kept?.sealed ?? bytes(1),
        dataKeyId: dataKey.id,
        sealed: bytes(90),
      },
    ]);
    await tx.dataKeys.retire(dataKey, dataKey.mac);
    const job = { kind: "rotate", content: "{}", startedAt: 1, updatedAt: 1, mac: bytes(32) };
    await tx.jobs.put(job);
    await tx.jobs.put(job, job.mac);
    await tx.jobs.find("rotate");
    await tx.jobs.remove("rotate", job.mac);
    await tx.secrets.tombstone({ id: secret.id, deletedAt: 3, mac: bytes(32) }, 2);
    const device = companionRow();
    await tx.companions.insert(device);
    await tx.companions.update(device, device.mac);
    await tx.companions.find(device.id);
    await tx.companions.findByFingerprint(device.fingerprint);
    await tx.companions.remove(device.id, device.mac);
    await tx.companions.insertResult(resultRow());
    await tx.companions.findResult("peer", "request");
    await tx.companions.pruneResults(1);
    const permit = permitRow();
    await tx.permits.insert(permit);
    await tx.permits.use(permit, permit.mac);
    await tx.permits.find(permit.id);
    await tx.permits.listFor("grant", permit.subject);
    await tx.permits.remove(permit.id);
    const policy = policyRow();
    await tx.policies.put(policy);
    await tx.policies.find(policy.subject);
    await tx.policies.remove(policy.subject);
    await tx.audit.append([auditRow({ seq: 1 })]);
    await tx.audit.append([auditRow({ seq: 2, prev: (await tx.audit.lockHead()).hash })]);
    await tx.audit.page(1, 10);
    await tx.audit.tail(10);
    await tx.counts();
  });
}

it("every statement of daily life searches by an index and sorts nothing", async () => {
  const { sqlite, ran, databases } = traced();
  const store = await newStore({ sqlite });
  ran.length = 0;
  await useAll(store);
  const texts = [...new Set(ran.map((line) => line.replace(/ \[\d+\]$/, "")))];
  const queries = texts.filter((sql) => /^(select|insert|update|delete)/.test(sql));
  expect(queries.length).toBeGreaterThan(30);
  const plain = new Sqlite(store.location, {});
  for (const sql of queries) {
    const plan = plain
      .prepare(`explain query plan ${sql}`)
      .all(...Array(sql.split("?").length - 1).fill(null));
    for (const { detail } of plan as { detail: string }[]) {
      // A tail reads the last rows of the log, by its key.
      if (sql.endsWith('order by "seq" desc limit ?') && detail === "SCAN audit_log") continue;
      // The rows of a page, which its limit bounds.
      if (sql.includes(' as "page"') && detail === "SCAN page") continue;
      expect(detail, sql).not.toMatch(/^SCAN|TEMP B-TREE|AUTOMATIC/);
    }
  }
  plain.close();
  expect(databases.length).toBeGreaterThan(1);
});

/** Fills the tables behind the store's back, in one statement each. */
async function fill(store: Store, secrets: number): Promise<void> {
  const { dataKey } = await store.transaction("full", insertKeys);
  const raw = new Sqlite(store.location, {});
  raw.exec(`
    pragma synchronous = off;
    with recursive n (i) as (select 1 union all select i + 1 from n where i < ${secrets})
    insert into secrets
      select 'secrets', 'name' || i, 'id' || i, '${dataKey.keyId}', 1, 1, 1, null, zeroblob(32), 0, null from n;
    insert into secret_versions select id, 1, '${dataKey.id}', zeroblob(180), 100, 1 from secrets;
    with recursive n (i) as (select 1 union all select i + 1 from n where i < ${secrets})
    insert into audit_log select i, zeroblob(32), zeroblob(32), zeroblob(32), 1, '{}' from n;
    insert into audit_head values (1, ${secrets}, zeroblob(32), 1);
    update counters set secrets = ${secrets};
  `);
  raw.close();
}

it("opening and a first read take the same steps with 10 and with 100,000 secrets", async () => {
  const steps: string[][] = [];
  for (const size of [10, 100_000]) {
    const store = await newStore();
    await fill(store, size);
    const trace = traced();
    const second = await open({ file: store.location, mode: "open", sqlite: trace.sqlite });
    await second.vault.get();
    await second.keys.list();
    expect(await second.secrets.find("secrets", "name7")).toBeDefined();
    expect(await second.counts()).toEqual({ secrets: size, keys: 1, dataKeys: 1, auditRows: size });
    await second.transaction("normal", (tx) => tx.secrets.touch("id7", 1, 1));
    steps.push(trace.ran);
  }
  expect(steps[0]?.length).toBeGreaterThan(10);
  expect(steps[1]).toEqual(steps[0]);
});

it("every connection keeps temporary data in memory, wipes what it deletes and distrusts the file", async () => {
  const { sqlite, databases } = traced();
  const store = await newStore({ sqlite });
  await store.transaction("full", insertKeys);
  const reader = await open({ file: store.location, mode: "read", sqlite });
  const alive = databases.filter((database) => {
    try {
      database.prepare("select 1");
      return true;
    } catch {
      return false;
    }
  });
  expect(alive).toHaveLength(3);
  const wanted = {
    temp_store: 2,
    secure_delete: 1,
    foreign_keys: 1,
    trusted_schema: 0,
    cell_size_check: 1,
  };
  for (const database of alive) {
    for (const [pragma, value] of Object.entries(wanted)) {
      expect(database.prepare(`pragma ${pragma}`).get()).toEqual({ [pragma]: value });
    }
    expect(Object.values(database.prepare("pragma busy_timeout").get() as object)).toEqual([0]);
    expect(database.prepare("pragma journal_mode").get()).toEqual({ journal_mode: "wal" });
  }
  await fails("ERR_ACCESS_DENIED", reader.transaction("full", insertKeys));
});

it("a deleted value is gone from the file", async () => {
  const store = await newStore();
  const { secret, version } = await store.transaction("full", async (tx) =>
    insertSecret(tx, (await insertKeys(tx)).dataKey),
  );
  await store.close();
  expect(readFileSync(store.location).includes(Buffer.from(version.sealed))).toBe(true);
  const again = await open({ file: store.location, mode: "open" });
  await again.transaction("full", (tx) =>
    tx.secrets.tombstone({ id: secret.id, deletedAt: 1, mac: secret.mac }, 1),
  );
  await again.close();
  expect(readFileSync(store.location).includes(Buffer.from(version.sealed))).toBe(false);
});
