import { join } from "node:path";
import type { SqliteDatabase } from "@lango/store";
import { describe, expect, test } from "vitest";
import { bytes, expectCode, makeVault, newHome, reopen, text } from "./helpers.ts";
import { Sqlite } from "./sqlite.ts";

const inDatabase = <T>(home: string, run: (database: SqliteDatabase) => T): T => {
  const database = new Sqlite(join(home, "lango.db"), {});
  try {
    return run(database);
  } finally {
    database.close();
  }
};
const dataKeys = (home: string): { state: string; messages: number; id: string }[] =>
  inDatabase(
    home,
    (database) =>
      database
        .prepare("SELECT id, state, messages FROM data_keys ORDER BY created_at, id")
        .all() as {
        state: string;
        messages: number;
        id: string;
      }[],
  );

describe("data keys", () => {
  test("reserve 16 messages first and double, so that short commands do not burn keys", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("a", bytes("v"));
    await vault.close();
    expect(dataKeys(home)).toMatchObject([{ state: "active", messages: 16 }]);
    const again = await reopen(home);
    for (let i = 0; i < 17; i += 1) await again.secrets.set("a", bytes("v"));
    await again.close();
    expect(dataKeys(home)).toMatchObject([{ state: "active", messages: 16 + 16 + 32 }]);
  });

  test("that are full make way for a new one, and still open what they sealed", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("a", bytes("old"));
    await vault.close();
    inDatabase(home, (database) =>
      database.prepare("UPDATE data_keys SET messages = 1073741824").run(),
    );
    const again = await reopen(home);
    await again.secrets.set("b", bytes("new"));
    expect(text((await again.secrets.get("a")).value)).toBe("old");
    expect(text((await again.secrets.get("b")).value)).toBe("new");
    expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true });
    await again.close();
    expect(
      dataKeys(home)
        .map(({ state }) => state)
        .sort(),
    ).toEqual(["active", "decrypt-only"]);
  });

  test("of a new key are made once, however many ask for the first one", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.keys.create({ name: "team", type: "encryption" });
    const other = await reopen(home);
    await Promise.all(
      [vault, other].flatMap((each, writer) =>
        Array.from({ length: 10 }, (_, i) =>
          each.secrets.set(`s${writer}-${i}`, bytes(`${i}`), { key: "team" }),
        ),
      ),
    );
    expect((await other.secrets.list()).length).toBe(20);
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
    await vault.close();
    await other.close();
    expect(dataKeys(home)).toHaveLength(2);
  });

  test("retired by another process while this one writes: it goes on with the next", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("a", bytes("one"));
    const other = await reopen(home);
    await other.secrets.set("b", bytes("b"));
    // The other process fills the key up and takes a new one; this one still has messages reserved on the old one.
    inDatabase(home, (database) =>
      database.prepare("UPDATE data_keys SET messages = 1073741824").run(),
    );
    for (let i = 0; i < 20; i += 1) await other.secrets.set("b", bytes(`b${i}`));
    expect((await vault.secrets.set("a", bytes("two"))).version).toBe(2);
    expect(text((await vault.secrets.get("a")).value)).toBe("two");
    expect(text((await vault.secrets.get("b")).value)).toBe("b19");
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
  });
});

describe("when the log cannot be written", () => {
  const breakLog = (home: string): void =>
    inDatabase(home, (database) => {
      database.exec(
        "CREATE TRIGGER deny BEFORE INSERT ON audit_log BEGIN SELECT RAISE(ABORT, 'no room'); END",
      );
    });

  test("no value is released and nothing is written", async () => {
    const home = newHome();
    const first = await makeVault(home);
    await first.secrets.set("a", bytes("v"));
    await first.close();
    const vault = await reopen(home);
    breakLog(home);
    for (const run of [
      () => vault.secrets.get("a"),
      () => Promise.all([vault.secrets.get("a"), vault.secrets.get("a")]),
      () => vault.secrets.set("a", bytes("w")),
      () => vault.secrets.delete("a"),
      () => vault.keys.create({ name: "k", type: "signing" }),
      () => vault.keys.provider().encrypt({ keyId: "default", plaintext: bytes("x") }),
      () => vault.audit.append({ action: "a" }),
    ]) {
      await expect(run()).rejects.toThrow();
    }
    // What fails keeps its own error.
    await expectCode(() => vault.secrets.get("none"), "ERR_NOT_FOUND");
    await vault.close();
    inDatabase(home, (database) => database.exec("DROP TRIGGER deny"));
    const again = await reopen(home);
    expect(await again.secrets.list()).toMatchObject([{ name: "a", version: 1 }]);
    expect(await again.keys.list()).toHaveLength(1);
    expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true });
  });
});
