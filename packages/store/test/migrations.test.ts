import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { OpenStoreOptions, Store } from "@lango/store";
import { describe, expect, it, onTestFinished } from "vitest";
import { sqliteDialect } from "../src/dialect.ts";
import { MIGRATIONS, type Migration } from "../src/migrations.ts";
import { openWithMigrations } from "../src/open.ts";
import { DRIVERS, fails, insertKeys, newStore, open, Sqlite, tempHome } from "./helpers.ts";
import { readAll } from "./read-all.ts";
import { keyRow } from "./rows.ts";

const LATEST = MIGRATIONS.length;

/** The next release, as far as this test is concerned. */
const later = (sql: string, version = LATEST + 1): Migration => ({
  version,
  name: `later-${version}`,
  checksum: createHash("sha256").update(sql).digest("hex"),
  sql: () => sql,
});

async function openAs(migrations: readonly Migration[], options: OpenStoreOptions): Promise<Store> {
  const store = await openWithMigrations(options, migrations);
  onTestFinished(() => store.close());
  return store;
}

const query = (file: string, sql: string): unknown => {
  const database = new Sqlite(file, { readonly: true });
  try {
    return database.prepare(sql).get();
  } finally {
    database.close();
  }
};

it("versions are 1, 2, 3, …, and no released migration has changed", () => {
  expect(MIGRATIONS.map((migration) => migration.version)).toEqual(
    MIGRATIONS.map((_, index) => index + 1),
  );
  for (const { sql, checksum } of MIGRATIONS) {
    expect(createHash("sha256").update(sql(sqliteDialect().types)).digest("hex")).toBe(checksum);
  }
});

describe.each(DRIVERS)("a database of every release with %s", (_, sqlite) => {
  const fixtures = new URL("fixtures/", import.meta.url);
  it.each(readdirSync(fixtures))("opens %s and reads what was written", async (release) => {
    const file = join(tempHome(), "lango.db");
    copyFileSync(new URL(`${release}/lango.db`, fixtures), file);
    chmodSync(file, 0o600);
    const store = await open({ file, mode: "open", sqlite });
    const expected = JSON.parse(readFileSync(new URL(`${release}/rows.json`, fixtures), "utf8"));
    expect(await readAll(store)).toEqual(expected);
    expect(await store.integrityCheck()).toEqual([]);
    await store.transaction(
      "full",
      async (tx) => void (await tx.keys.insert(keyRow({ name: "new" }))),
    );
  });
});

it("migrates once, with a private backup of the state before", async () => {
  const store = await newStore();
  const home = dirname(store.location);
  await store.transaction("full", insertKeys);
  await store.close();
  expect(readdirSync(home).sort()).toEqual(["lango.db", "lango.lock"]);

  const next = [...MIGRATIONS, later("create table extra (a text not null) strict")];
  const opened = await Promise.all(
    [1, 2].map(() => openAs(next, { file: store.location, mode: "open" })),
  );
  for (const migrated of opened) expect(await migrated.keys.list()).toHaveLength(1);
  expect(query(store.location, "pragma user_version")).toEqual({ user_version: LATEST + 1 });
  expect(query(store.location, "select count(*) as n from migrations")).toEqual({ n: LATEST + 1 });
  await Promise.all(opened.map((migrated) => migrated.close()));

  const backup = `${store.location}.v${LATEST}.bak`;
  expect(statSync(backup).mode & 0o777).toBe(0o600);
  expect(existsSync(`${backup}.new`)).toBe(false);
  const restored = await open({ file: backup, mode: "open" });
  expect(await restored.keys.list()).toHaveLength(1);
  expect(await restored.integrityCheck()).toEqual([]);
});

it("each migration is one transaction: a failing one leaves the last good state", async () => {
  const store = await newStore();
  await store.transaction("full", insertKeys);
  await store.close();
  const next = [
    ...MIGRATIONS,
    later("create table good (a text not null) strict"),
    later("create table half (a text not null) strict; insert into nowhere values (1)", LATEST + 2),
  ];
  await fails("ERR_INTERNAL", openAs(next, { file: store.location, mode: "open" }));
  expect(query(store.location, "pragma user_version")).toEqual({ user_version: LATEST + 1 });
  const tables =
    "select group_concat(name) as names from sqlite_schema where name in ('good', 'half')";
  expect(query(store.location, tables)).toEqual({ names: "good" });
  const again = await openAs(next.slice(0, -1), { file: store.location, mode: "open" });
  expect(await again.keys.list()).toHaveLength(1);
});

it("a backup that was interrupted is made again", async () => {
  const store = await newStore();
  await store.close();
  copyFileSync(store.location, `${store.location}.v${LATEST}.bak.new`);
  await openAs([...MIGRATIONS, later("select 1")], { file: store.location, mode: "open" });
  expect(readdirSync(dirname(store.location)).filter((name) => name.includes("bak"))).toEqual([
    `lango.db.v${LATEST}.bak`,
  ]);
});

it("a database of a newer lango is refused with both versions named, and left as it is", async () => {
  const store = await newStore();
  await store.close();
  await (
    await openAs([...MIGRATIONS, later("select 1")], { file: store.location, mode: "open" })
  ).close();
  const before = readFileSync(store.location);
  for (const mode of ["create", "open", "read"] as const) {
    const error = await fails("ERR_CONFLICT", open({ file: store.location, mode }));
    expect(error.message).toMatch(new RegExp(`version ${LATEST + 1}; .*up to ${LATEST}$`));
  }
  expect(readFileSync(store.location).equals(before)).toBe(true);
});

it("an older lango that still runs cannot write after the migration", async () => {
  const old = await newStore();
  await old.transaction("full", insertKeys);
  await openAs([...MIGRATIONS, later("select 1")], { file: old.location, mode: "open" });
  const error = await fails("ERR_CONFLICT", old.transaction("full", insertKeys));
  expect(error.message).toContain(`version ${LATEST + 1}, not ${LATEST}`);
  expect(await old.keys.list()).toHaveLength(1);
});

it("mode read does not migrate", async () => {
  const store = await newStore();
  await store.close();
  const next = [...MIGRATIONS, later("select 1")];
  await fails("ERR_CONFLICT", openAs(next, { file: store.location, mode: "read" }));
  expect(query(store.location, "pragma user_version")).toEqual({ user_version: LATEST });
});

it("a database made by other migrations is refused", async () => {
  const store = await newStore();
  await store.close();
  const [first, ...others] = MIGRATIONS;
  const forged = [{ ...first!, checksum: "0".repeat(64) }, ...others];
  const error = await fails(
    "ERR_INTEGRITY",
    openAs(forged, { file: store.location, mode: "open" }),
  );
  expect(error.message).toContain(store.location);
});
