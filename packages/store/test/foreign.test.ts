import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openForeign } from "@lango/store";
import { describe, expect, test } from "vitest";
import { DRIVERS, fails, newStore, Sqlite, tempHome } from "./helpers.ts";

const KEY = new Uint8Array(32).fill(5);
const wrong = { key: new Uint8Array(32), isPassphrase: false };
const keys = [wrong, { key: KEY, isPassphrase: false }];

function foreignFile(pageSize?: number): string {
  const file = join(tempHome(), "other.db");
  const database = new Sqlite(file, {});
  if (pageSize !== undefined) {
    database.exec(`pragma cipher = 'sqlcipher'; pragma legacy = 4`);
    database.exec(`pragma legacy_page_size = ${pageSize}`);
    database.key?.(Buffer.from(`x'${Buffer.from(KEY).toString("hex")}'`));
  }
  database.exec("pragma journal_mode = wal; create table t (name text, value blob)");
  database.prepare("insert into t values (?, ?)").run("one", Buffer.from("bytes"));
  database.close();
  return file;
}

describe("a database of another program", () => {
  test.each([undefined, 1024, 4096])("is read, encrypted with pages of %s bytes", async (size) => {
    const file = foreignFile(size);
    const database = await openForeign({ file, shownAs: "/the/real/one", keys });
    expect(database).toMatchObject({ isOurs: false, keyIndex: size && 1 });
    const [row] = database.rows("select * from t where name = ?", "one");
    expect(row).toEqual({ name: "one", value: new TextEncoder().encode("bytes") });
    expect(() => database.rows("select * from u")).toThrow("/the/real/one refused a statement");
    expect(() => database.rows("insert into t values ('a', 'b') returning name")).toThrow();
    database.close();
    expect(KEY.every((byte) => byte === 5)).toBe(true);
  });

  test("is told from one of Lango", async () => {
    const store = await newStore();
    await store.close();
    const database = await openForeign({ file: store.location, shownAs: "x", keys: [] });
    expect(database.isOurs).toBe(true);
    database.close();
  });

  test("is seen to be open elsewhere, and not changed by looking", async () => {
    for (const size of [undefined, 4096]) {
      const [copy, file] = [foreignFile(size), foreignFile(size)];
      const before = readFileSync(file);
      const database = await openForeign({ file: copy, shownAs: "x", keys });
      expect(database.isOpenElsewhere(file)).toBe(false);
      expect(readFileSync(file)).toEqual(before);
      database.close();
    }
  });

  test("a wrong key, and a driver without ciphers, are refused", async () => {
    const file = foreignFile(4096);
    const before = readFileSync(file);
    const options = { file, shownAs: "/the/real/one", keys: [wrong] };
    await fails("ERR_WRONG_PASSPHRASE", openForeign(options));
    await fails("ERR_WRONG_PASSPHRASE", openForeign({ ...options, keys: [] }));
    const sqlite = DRIVERS[1]![1];
    await fails("ERR_PROVIDER_NOT_INSTALLED", openForeign({ ...options, sqlite }));
    expect(readFileSync(file)).toEqual(before);
    writeFileSync(file, "SQLite format 3\0 and nothing more");
    await fails("ERR_INTEGRITY", openForeign(options));
  });
});
