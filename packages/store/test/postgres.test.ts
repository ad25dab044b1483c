import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Store } from "@lango/store";
import { Client } from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  newDatabaseUrl as newUrl,
  POSTGRES_PASSWORD as PASSWORD,
  sharedPostgres,
} from "../../../tooling/vitest/postgres.ts";
import { MIGRATIONS, type Migration } from "../src/migrations.ts";
import { openWithMigrations } from "../src/open.ts";
import { parseAddress } from "../src/postgres/address.ts";
import { loadPg } from "../src/postgres/driver.ts";
import { ended, fails, insertKeys, insertSecret, open, printed, startScript } from "./helpers.ts";
import { addressOf, asOwner, schemaOf, withPassword } from "./postgres-server.ts";
import {
  auditRow,
  companionRow,
  keyRow,
  keyVersionRow,
  permitRow,
  policyRow,
  vaultRow,
} from "./rows.ts";

const LATEST = MIGRATIONS.length;

const newStore = async () => open({ url: await newUrl(), mode: "create" });

async function openAs(migrations: readonly Migration[], store: Store): Promise<Store> {
  const opened = await openWithMigrations({ url: withPassword(store), mode: "open" }, migrations);
  onTestFinished(() => opened.close());
  return opened;
}

const later = (sql: string, version = LATEST + 1): Migration => ({
  version,
  name: `later-${version}`,
  checksum: createHash("sha256").update(sql).digest("hex"),
  sql: () => sql,
});

it("a user without any right on the schema is refused, and the schema is not called damaged", async () => {
  const store = await newStore();
  const role = `none_${randomUUID().slice(0, 8)}`;
  await asOwner(`create role ${role} login password '${PASSWORD}'`);
  const url = Object.assign(new URL(withPassword(store)), { username: role }).href;
  for (const mode of ["open", "read"] as const) {
    expect((await fails("ERR_ACCESS_DENIED", open({ url, mode }))).message).toContain(
      "may not use the schema",
    );
  }
});

describe("database URLs", () => {
  it("the location has everything but the password; the schema is lango unless it is named", () => {
    const address = parseAddress("postgresql://me:s%23cret@[::1]/my%20db?application_name=x");
    expect(address).toMatchObject({
      location: "postgres://me@[::1]:5432/my%20db?schema=lango",
      schema: "lango",
      host: "::1",
      user: "me",
      password: "s#cret",
      database: "my db",
      applicationName: "x",
      ssl: false,
    });
    expect(parseAddress("postgres:///db?host=/run/pg&schema=a'b").location).toBe(
      "postgres://localhost:5432/db?host=%2Frun%2Fpg&schema=a'b",
    );
  });

  it("other machines are spoken to by checked TLS alone", () => {
    for (const mode of ["", "?sslmode=require", "?sslmode=verify-ca", "?sslmode=verify-full"]) {
      expect(parseAddress(`postgres://u:p@db.example/x${mode}`).ssl).toMatchObject({
        rejectUnauthorized: true,
      });
    }
    expect(parseAddress("postgres://u:p@127.0.0.1/x?sslmode=verify-full").ssl).not.toBe(false);
    // Names that only look like this machine.
    expect(parseAddress("postgres://u:p@127.0.0.1.example/x").ssl).not.toBe(false);
    expect(parseAddress("postgres://u:p@localhost.example/x").ssl).not.toBe(false);
  });

  it.each([
    ["postgres://u:hush@db.example/x?sslmode=disable", "sslmode"],
    ["postgres://u:hush@db.example/x?sslmode=prefer", "sslmode"],
    ["postgres://u:hush@db.example/x?sslmode=no-verify", "sslmode"],
    ["postgres://u:hush@h/x?sslmod=verify-full", 'unknown parameter "sslmod"'],
    ["postgres://u:hush@h/x?sslrootcert=/nowhere/ca.pem", "sslrootcert"],
    ["mysql://u:hush@h/x", "postgres://"],
    ["postgres://u:12/hush@h/x", "before its host"],
    ["postgres://u:12?hush@h/x", "before its host"],
    ["postgres://u:12#hush@h/x", "before its host"],
    ["postgres://u@h/x#hush", "before its host"],
    ["postgres://u@h/x?password=hush", 'unknown parameter "password"'],
    ["postgres://u:hush%@h/x", "%"],
    ["postgres://u:hush@h:port/x", "no URL"],
    ["postgres://u:hush@h/x?schema=", "schema"],
    ["postgres://u:hush@h/x?schema=pg_catalog", "schema"],
    [`postgres://u:hush@h/x?schema=${"x".repeat(64)}`, "schema"],
  ])("%s is ERR_CONFIG, without the password", async (url, what) => {
    const error = await fails("ERR_CONFIG", open({ url, mode: "open" }));
    expect(error.message).toContain(what);
    expect(JSON.stringify([error.message, error.context, String(error.cause)])).not.toContain(
      "hush",
    );
  });

  it("a driver that is not installed is named with its command", async () => {
    const missing = Object.assign(new Error("Cannot find package 'pg'"), {
      code: "ERR_MODULE_NOT_FOUND",
    });
    const error = await fails(
      "ERR_PROVIDER_NOT_INSTALLED",
      loadPg(() => Promise.reject(missing)),
    );
    expect(error.context.hint).toBe("npm install pg");
    await fails(
      "ERR_INTERNAL",
      loadPg(() => Promise.reject(new Error("broken"))),
    );
  });
});

describe("opening", () => {
  it("mode open and read make nothing", async () => {
    const url = await newUrl();
    for (const mode of ["open", "read"] as const) await fails("ERR_NOT_FOUND", open({ url, mode }));
    const schemas = await asOwner("select nspname as name from pg_namespace");
    expect(schemas.rows).not.toContainEqual({ name: new URL(url).searchParams.get("schema") });
  });

  it("a wrong password, no password and no database are typed errors without a password", async () => {
    const url = new URL(await newUrl());
    const at = (change: (url: URL) => void) => {
      const changed = new URL(url);
      change(changed);
      return open({ url: changed.href, mode: "create" });
    };
    const errors = [
      await fails(
        "ERR_ACCESS_DENIED",
        at((changed) => Object.assign(changed, { password: "hush" })),
      ),
      await fails(
        "ERR_ACCESS_DENIED",
        at((changed) => Object.assign(changed, { password: "" })),
      ),
      await fails(
        "ERR_NOT_FOUND",
        at((changed) => Object.assign(changed, { pathname: "/nowhere" })),
      ),
    ];
    for (const error of errors) {
      const text = JSON.stringify([error.message, error.context, String(error.cause), error.stack]);
      expect(text).toContain("127.0.0.1");
      for (const secret of ["hush", PASSWORD, encodeURIComponent(PASSWORD)]) {
        expect(text).not.toContain(secret);
      }
    }
  });

  it("the schema of another application is refused and left as it is; an empty one is used", async () => {
    const schema = `other_${randomUUID().slice(0, 8)}`;
    const url = `${addressOf(await sharedPostgres())}?schema=${schema}`;
    await asOwner(`create schema ${schema}; create table ${schema}.theirs (a int)`);
    for (const mode of ["create", "open", "read"] as const) {
      const error = await fails("ERR_INTEGRITY", open({ url, mode }));
      expect(error.message).toContain(schema);
    }
    await asOwner(`drop table ${schema}.theirs`);
    const store = await open({ url, mode: "create" });
    expect(await store.integrityCheck()).toEqual([]);
    await asOwner(`create schema ${schema}_2; create table ${schema}_2.migrations (id int)`);
    await fails("ERR_INTEGRITY", open({ url: `${url}_2`, mode: "open" }));
  });

  it("a database that keeps no UTF-8 is refused", async () => {
    await asOwner("create database latin encoding 'LATIN1' template template0");
    const url = (await newUrl()).replace("/postgres?", "/latin?");
    await fails("ERR_CONFIG", open({ url, mode: "create" }));
  });

  it("many make one database at once, in one schema beside another", async () => {
    const url = await newUrl();
    const stores = await Promise.all(
      Array.from({ length: 5 }, () => open({ url, mode: "create" })),
    );
    await stores[0]?.transaction("full", insertKeys);
    for (const store of stores) expect(await store.keys.list()).toHaveLength(1);
    const beside = await newStore();
    expect(await beside.keys.list()).toEqual([]);
  });

  it("mode read can write nothing, and neither can the connection of the reads", async () => {
    const store = await newStore();
    await store.transaction("full", insertKeys);
    const reader = await open({ url: withPassword(store), mode: "read" });
    expect(await reader.keys.list()).toHaveLength(1);
    await fails(
      "ERR_ACCESS_DENIED",
      reader.transaction("full", async () => undefined),
    );
    await fails(
      "ERR_ACCESS_DENIED",
      reader.withLock(async () => undefined),
    );
    expect(await reader.integrityCheck()).toEqual([]);
  });
});

describe("migrating", () => {
  it("runs once however many do it, and an older lango that still runs cannot write", async () => {
    const old = await newStore();
    await old.transaction("full", insertKeys);
    const next = [...MIGRATIONS, later("create table extra (a text not null)")];
    await fails("ERR_CONFLICT", openWithMigrations({ url: withPassword(old), mode: "read" }, next));
    const opened = await Promise.all([1, 2, 3].map(() => openAs(next, old)));
    for (const store of opened) expect(await store.keys.list()).toHaveLength(1);
    const { rows } = await asOwner("select count(*)::int as n from migrations", old);
    expect(rows).toEqual([{ n: LATEST + 1 }]);

    const error = await fails("ERR_CONFLICT", old.transaction("full", insertKeys));
    expect(error.message).toContain(`version ${LATEST + 1}, not ${LATEST}`);
    expect(await old.keys.list()).toHaveLength(1);
    const newer = await fails("ERR_CONFLICT", open({ url: withPassword(old), mode: "open" }));
    expect(newer.message).toMatch(new RegExp(`version ${LATEST + 1}; .*up to ${LATEST}$`));
  });

  it("by several processes at once makes and updates a database once", async () => {
    const url = await newUrl();
    const together = async () => {
      const makers = Array.from({ length: 4 }, () => startScript("create.ts", url, "wait"));
      await Promise.all(makers.map((maker) => printed(maker, "go")));
      for (const { stdin } of makers) stdin?.write("now");
      for (const maker of makers) expect(await ended(maker), maker.output()).toBe(0);
    };
    const applied = async (store: Store) =>
      (await asOwner("select version from migrations order by version", store)).rows.length;
    await together();
    const made = await open({ url, mode: "open" });
    expect(await applied(made)).toBe(LATEST);
    await made.transaction("full", insertKeys);
    await made.close();

    await asOwner(`drop schema ${schemaOf(made)} cascade`);
    const before = MIGRATIONS.slice(0, -1);
    const older = await openWithMigrations({ url, mode: "create" }, before);
    await older.transaction("full", (tx) => tx.vault.insert(vaultRow()));
    await older.close();
    expect(await applied(older)).toBe(LATEST - 1);
    await together();
    const updated = await open({ url, mode: "open" });
    expect(await applied(updated)).toBe(LATEST);
    expect(await updated.vault.get()).toBeDefined();
    expect(await updated.integrityCheck()).toEqual([]);
  });

  it("each is one transaction: a failing one leaves the last good state", async () => {
    const store = await newStore();
    const next = [
      ...MIGRATIONS,
      later("create table good (a text)"),
      later("create table half (a text); insert into nowhere values (1)", LATEST + 2),
    ];
    await fails("ERR_INTEGRITY", openAs(next, store));
    const { rows } = await asOwner(
      "select to_regclass('good') is null as good, to_regclass('half') is null as half",
      store,
    );
    expect(rows).toEqual([{ good: false, half: true }]);
    expect(await (await openAs(next.slice(0, -1), store)).keys.list()).toEqual([]);
  });

  it("a database made by other migrations is refused", async () => {
    const store = await newStore();
    await asOwner("update migrations set checksum = repeat('0', 64) where version = 2", store);
    const error = await fails("ERR_INTEGRITY", open({ url: withPassword(store), mode: "open" }));
    expect(error.message).toContain("companions");
  });
});

it("durability is that of each transaction, whatever the server's default is", async () => {
  const store = await newStore();
  for (const [durability, value] of [
    ["normal", "off"],
    ["full", "on"],
    ["normal", "off"],
  ] as const) {
    await store.transaction(durability, async () => {
      // It begins while this runs.
      const queries = async () =>
        (
          await asOwner("select query from pg_stat_activity where state = 'idle in transaction'")
        ).rows.map(({ query }) => query);
      const begun = expect.stringContaining(`synchronous_commit to ${value};`);
      await expect.poll(queries, { timeout: 10_000 }).toEqual([begun]);
    });
  }
});

it("a lock that is not to be waited for is refused at once", async () => {
  const [store, other] = [await newStore(), await newStore()];
  await store.withLock(async () => {
    // Without a limit of its own it would wait for as long as any statement, and take the server for silent.
    const again = store.withLock(async () => undefined, { waitMs: 0 });
    expect((await fails("ERR_CONFLICT", again)).message).toContain("Another lango");
    // That of another schema is another one.
    await other.withLock(async () => undefined, { waitMs: 0 });
  });
});

it("no value of a row gets into an error", async () => {
  const store = await newStore();
  const wrong = store.transaction("full", async (tx) => {
    const { dataKey } = await insertKeys(tx);
    await insertSecret(tx, dataKey, { name: "hush", createdAt: "hush" as never });
  });
  const error = await fails("ERR_INTERNAL", wrong);
  const text = JSON.stringify([error.message, error.context, String(error.cause), error.stack]);
  expect(text).not.toContain("hush");
  const taken = store.transaction("full", async (tx) => {
    await tx.keys.insert(keyRow({ name: "hush" }));
    await tx.keys.insert(keyRow({ name: "hush" }));
  });
  expect(String((await fails("ERR_CONFLICT", taken)).cause)).not.toContain("hush");
  await fails(
    "ERR_INVALID_ARGUMENT",
    store.transaction("full", (tx) => tx.keys.insert(keyRow({ name: "a\0b" }))),
  );
});

it("a number that JavaScript cannot hold is ERR_INTEGRITY, not another number", async () => {
  const store = await newStore();
  await store.transaction("full", insertKeys);
  await asOwner("update keys set created_at = 9007199254740993", store);
  await fails("ERR_INTEGRITY", store.keys.list());
  await asOwner("update keys set created_at = 9007199254740991", store);
  expect((await store.keys.list())[0]?.createdAt).toBe(Number.MAX_SAFE_INTEGER);
});

it.each([
  ["drop table audit_head", "table audit_head is missing"],
  ["drop index data_keys_active", "index data_keys_active is missing"],
  ["create table more (a text)", "table more is not one of lango's"],
  [
    "create function f() returns trigger language plpgsql as 'begin return null; end'; create trigger t before insert on audit_log for each row execute function f()",
    "trigger t is not one of lango's",
  ],
  ["create rule r as on delete to audit_log do instead nothing", "rule r is not one of lango's"],
  [
    "update pg_index set indisvalid = false where indexrelid = 'data_keys_active'::regclass",
    "index data_keys_active is not valid",
  ],
  ["update counters set secrets = 7", "the counter of secrets says 7, there are 1"],
  ["delete from counters", "the counter of keys says nothing, there are 1"],
  [
    "set session_replication_role to replica; delete from data_keys",
    "a row of secret_versions names a missing row of data_keys",
  ],
])("integrityCheck finds: %s", async (sql, fault) => {
  const store = await newStore();
  await store.transaction("full", async (tx) => insertSecret(tx, (await insertKeys(tx)).dataKey));
  expect(await store.integrityCheck()).toEqual([]);
  await asOwner(sql, store);
  expect(await store.integrityCheck()).toContain(fault);
});

it("a snapshot sees one moment, keeps no writer waiting, and is refused after a migration", async () => {
  const store = await newStore();
  const other = await open({ url: withPassword(store), mode: "open" });
  await store.transaction("full", insertKeys);
  await store.snapshot?.(async (reads) => {
    expect(await reads.keys.list()).toHaveLength(1);
    await other.transaction("full", (tx) => tx.keys.insert(keyRow({ name: "later" })));
    await store.transaction("full", (tx) => tx.keys.insert(keyRow({ name: "last" })));
    expect(await reads.keys.list()).toHaveLength(1);
    expect(await reads.counts()).toMatchObject({ keys: 1 });
    expect(await store.keys.list()).toHaveLength(3);
  });
  expect(await store.snapshot?.((reads) => reads.keys.list())).toHaveLength(3);
  await asOwner("insert into migrations values (99, 'later', repeat('0', 64), 1)", store);
  await fails("ERR_CONFLICT", store.snapshot?.((reads) => reads.keys.list()) ?? Promise.resolve());
  await store.close();
  await fails("ERR_CLOSED", store.snapshot?.((reads) => reads.keys.list()) ?? Promise.resolve());
});

it("a writer that finds no row to lock does not write", async () => {
  const store = await newStore();
  await asOwner("delete from counters", store);
  await fails("ERR_INTEGRITY", store.transaction("full", insertKeys));
  expect(await store.keys.list()).toEqual([]);
});

it("the role that docs/postgres.md makes can do all the daily work, and not change the audit", async () => {
  const store = await newStore();
  await store.transaction("full", async (tx) => {
    await tx.vault.insert(vaultRow());
    await tx.keys.insert(keyRow({ name: "first" }));
  });
  const guide = readFileSync(new URL("../../../docs/postgres.md", import.meta.url), "utf8");
  const grants = /```sql\n([^`]*grant [^`]*)```/.exec(guide)?.[1] ?? "";
  const role = `app_${randomUUID().slice(0, 8)}`;
  await asOwner(
    grants
      .replaceAll("lango_app", role)
      .replaceAll(/\blango\b/g, schemaOf(store))
      .replaceAll("'…'", `'${PASSWORD}'`),
  );
  const url = new URL(withPassword(store));
  url.username = role;
  const app = await open({ url: url.href, mode: "open" });
  const vault = await app.vault.get();
  if (vault === undefined) throw new Error("no vault");
  await app.transaction("full", async (tx) => {
    await tx.vault.update({ ...vault, auditEpoch: 2 }, vault.mac);
    const { key, dataKey } = await insertKeys(tx);
    await tx.keys.update({ ...key, state: "disabled" }, key.mac);
    await tx.keys.insertVersion(keyVersionRow({ keyId: key.id }));
    await tx.dataKeys.reserve(dataKey.id, 1, 1);
    const { secret } = await insertSecret(tx, dataKey);
    await tx.secrets.touch(secret.id, 1, 1);
    await tx.secrets.tombstone({ id: secret.id, deletedAt: 1, mac: secret.mac }, 1);
    await tx.permits.insert(permitRow({ id: "p" }));
    await tx.permits.remove("p");
    await tx.policies.put(policyRow());
    await tx.policies.put(policyRow({ content: "{}" }));
    await tx.policies.remove("approvals");
    const companion = companionRow();
    await tx.companions.insert(companion);
    await tx.companions.remove(companion.id, companion.mac);
    await tx.companions.pruneResults(1);
    await tx.audit.lockHead();
    await tx.audit.append([auditRow({ seq: 1 })]);
  });
  await app.withLock(async () => undefined);
  expect(await app.integrityCheck()).toEqual([]);
  // A backup is daily work, too.
  const rows = await app.snapshot?.(async (reads) => {
    const counts = await Promise.all(reads.copy.tables.map((table) => reads.copy.count(table)));
    return counts.reduce((sum, count) => sum + count, 0);
  });
  expect(rows).toBeGreaterThan(8);
  expect(await app.counts()).toEqual({ secrets: 0, keys: 2, dataKeys: 1, auditRows: 1 });

  const denied = await fails(
    "ERR_ACCESS_DENIED",
    app.transaction("full", (tx) => tx.reset()),
  );
  expect(denied.context.hint).toContain("docs/postgres.md");
  await fails(
    "ERR_ACCESS_DENIED",
    openWithMigrations({ url: url.href, mode: "open" }, [
      ...MIGRATIONS,
      later("create table extra (a text)"),
    ]),
  );
  const direct = new Client({ connectionString: url.href.replace(/\?.*/, "") });
  await direct.connect();
  onTestFinished(() => direct.end());
  for (const change of ["update", "delete from", "truncate", "drop table"]) {
    const table = `${schemaOf(store)}.audit_log`;
    const sql = `${change} ${table}${change === "update" ? " set entry = ''" : ""}`;
    await expect(direct.query(sql), sql).rejects.toMatchObject({ code: "42501" });
  }
});
