import { createSecretKey } from "node:crypto";
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { CryptoError } from "@lango/crypto-core";
import { openStore, type SqliteConstructor } from "@lango/store";
import { describe, expect, test } from "vitest";
import { createAuditLog, createStamp } from "../src/audit/log.ts";
import { createSpool } from "../src/audit/spool.ts";
import { readVault, type Vault } from "../src/index.ts";
import { bytes, expectCode, makeVault, newHome, reopen, text } from "./helpers.ts";
import { holdWriteLock } from "./rig/hold-lock.ts";
import { Sqlite } from "./sqlite.ts";

const SPOOL = { audit: { onFailure: "spool" }, busyTimeoutMs: 300 } as const;
const FILE = "audit-spool.jsonl";

const makeHome = async (): Promise<string> => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value of a"));
  await vault.close();
  return home;
};

const actionsOf = async (vault: Vault, count = 50): Promise<string[]> =>
  (await vault.audit.tail(count)).map(({ action }) => action);

const spooled = (home: string): string[] =>
  readFileSync(join(home, FILE), "utf8").trim().split("\n");

const asides = (home: string): string[] =>
  readdirSync(home).filter((name) => name.startsWith("audit-spool.damaged-"));

/** A spool with the reads of one process that ended while the database was still locked. */
const leaveSpool = async (home: string, reads = 2): Promise<void> => {
  const vault = await reopen(home, SPOOL);
  const lock = await holdWriteLock(home);
  for (let i = 0; i < reads; i += 1) await vault.secrets.get("a");
  await vault.close();
  await lock.release();
};

describe("a database that another process keeps locked", () => {
  test("deny: no value", async () => {
    const home = await makeHome();
    const vault = await reopen(home, { busyTimeoutMs: 300 });
    const lock = await holdWriteLock(home);
    await expectCode(() => vault.secrets.get("a"), "ERR_BUSY");
    expect(existsSync(join(home, FILE))).toBe(false);
    await lock.release();
    expect(text((await vault.secrets.get("a")).value)).toBe("value of a");
  });

  test("spool: reads go on, writes fail, and the rows come into the log with their time", async () => {
    const home = await makeHome();
    const vault = await reopen(home, SPOOL);
    const before = Date.now();
    const lock = await holdWriteLock(home);
    expect(text((await vault.secrets.get("a")).value)).toBe("value of a");
    const read = Date.now();
    expect(statSync(join(home, FILE)).mode & 0o777).toBe(0o600);
    expect(spooled(home)).toHaveLength(2);
    expect(spooled(home).join()).not.toContain("value of a");
    await expectCode(() => vault.secrets.set("a", bytes("w")), "ERR_BUSY");
    await expectCode(() => vault.audit.append({ action: "test" }), "ERR_BUSY");
    expect(spooled(home)).toHaveLength(2);
    expect((await vault.audit.verify()).spool).toEqual({ waiting: 1, damaged: [] });
    await lock.release();
    await vault.secrets.get("a");
    await expect.poll(() => existsSync(join(home, FILE))).toBe(false);
    const events = (await vault.audit.tail(3)).map(({ action, target, ts }) => ({
      action,
      target,
      ts,
    }));
    expect(events.map(({ action }) => action)).toEqual(["secret.get", "audit.spool", "secret.get"]);
    expect(events[2]?.target).toBe("a");
    expect(events[2]?.ts).toBeGreaterThanOrEqual(before);
    expect(events[2]?.ts).toBeLessThanOrEqual(read);
    expect(await vault.audit.verify({ rows: true })).toMatchObject({
      ok: true,
      spool: { waiting: 0 },
    });
  });

  test("spool: also an opening; what it left comes in at the next one, whatever that does on failure", async () => {
    const home = await makeHome();
    const lock = await holdWriteLock(home);
    const vault = await reopen(home, SPOOL);
    await vault.secrets.get("a");
    await vault.close();
    await lock.release();
    expect(spooled(home)).toHaveLength(3);
    const again = await reopen(home);
    expect(existsSync(join(home, FILE))).toBe(false);
    expect((await actionsOf(again)).slice(-4)).toEqual([
      "audit.spool",
      "vault.unlock",
      "secret.get",
      "vault.unlock",
    ]);
    expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true });
  });

  test("two vaults add to one file", async () => {
    const home = await makeHome();
    const [one, two] = [await reopen(home, SPOOL), await reopen(home, SPOOL)];
    const lock = await holdWriteLock(home);
    await Promise.all([one.secrets.get("a"), two.secrets.get("a")]);
    await one.secrets.get("a");
    expect(spooled(home)).toHaveLength(4);
    await lock.release();
    await Promise.all([one.close(), two.close()]);
    expect(existsSync(join(home, FILE))).toBe(false);
    const vault = await reopen(home);
    expect((await actionsOf(vault)).filter((action) => action === "secret.get")).toHaveLength(3);
    expect(await vault.audit.verify()).toMatchObject({ ok: true });
  });
});

test("a database that cannot grow", async () => {
  const home = await makeHome();
  const databases: (InstanceType<SqliteConstructor> & { readonly open: boolean })[] = [];
  const Limited = function open(...args: ConstructorParameters<SqliteConstructor>) {
    const database = new Sqlite(...args);
    databases.push(database as (typeof databases)[number]);
    return database;
  } as unknown as SqliteConstructor;
  const limit = (pages: number): void => {
    for (const database of databases) {
      // The vault's lock is a database too, closed when it is given back.
      if (!database.open) continue;
      database.exec(`pragma max_page_count = ${pages}`);
    }
  };
  await using store = await openStore({
    file: join(home, "lango.db"),
    mode: "open",
    sqlite: Limited,
  });
  const auditKey = { key: createSecretKey(Buffer.alloc(32, 1)), epoch: 1, former: [] };
  const vaultId = new Uint8Array(16);
  const options = { store, auditKey, clock: () => 1000, source: "test" };
  const path = join(home, FILE);
  const spool = createSpool({ store, path, auditKey, vaultId, stamp: createStamp(options) });
  const [log, denying] = [createAuditLog({ ...options, spool }), createAuditLog(options)];
  const read = (): Promise<void> => log.use({ action: "secret.get", target: "x".repeat(200) });
  await read();
  const rows = (await store.audit.head()).seq;
  limit(1);
  for (let i = 0; i < 60; i += 1) await read();
  const inLog = (await store.audit.head()).seq - rows;
  expect(inLog).toBeLessThan(40);
  expect(spooled(home)).toHaveLength(1 + 60 - inLog);
  await expectCode(
    () => denying.use({ action: "secret.get", target: "x".repeat(8000) }),
    "ERR_BUSY",
  );
  // What changes the vault is never spooled.
  await expectCode(
    () => log.commit("full", { action: "secret.set", target: "x".repeat(8000) }),
    "ERR_BUSY",
  );
  limit(1_000_000);
  await read();
  await spool.close();
  expect(existsSync(path)).toBe(false);
  // The row that says so, too.
  expect((await store.audit.head()).seq).toBe(rows + 60 + 2);
});

describe("a spool file", () => {
  test("that is full: no value", async () => {
    const home = await makeHome();
    const vault = await reopen(home, SPOOL);
    const lock = await holdWriteLock(home);
    await vault.secrets.get("a");
    const lines = spooled(home).join("\n");
    // Unfinished bytes at the end are taken off, so the room is used up by a whole line.
    writeFileSync(
      join(home, FILE),
      `${lines}\n${"x".repeat(16 * 1024 * 1024 - lines.length - 10)}\n`,
    );
    const error = await expectCode(() => vault.secrets.get("a"), "ERR_INTEGRITY");
    expect(error.cause).toMatchObject({ code: "ERR_BUSY" });
    await lock.release();
  });

  test("of 16 MiB takes no more", async () => {
    const home = await makeHome();
    const path = join(home, FILE);
    await using store = await openStore({ file: join(home, "lango.db"), mode: "open" });
    const auditKey = { key: createSecretKey(Buffer.alloc(32, 1)), epoch: 1, former: [] };
    const stamp = createStamp({ clock: Date.now, source: "test" });
    const spool = createSpool({ store, path, auditKey, vaultId: new Uint8Array(16), stamp });
    const cause = new CryptoError("ERR_BUSY", "busy");
    const entry = "x".repeat(1024 * 1024 - 200);
    for (let i = 0; i < 15; i += 1) await spool.add([entry], cause);
    const error = await expectCode(() => spool.add([entry, entry], cause), "ERR_UNAVAILABLE");
    expect(error.cause).toBe(cause);
    expect(error.message).toContain("is full");
    expect(statSync(path).size).toBeLessThan(16 * 1024 * 1024);
    await spool.add([entry], cause);
  });

  test("an unfinished line was never released, and the rest comes in", async () => {
    const home = await makeHome();
    await leaveSpool(home);
    truncateSync(join(home, FILE), statSync(join(home, FILE)).size - 10);
    const vault = await reopen(home);
    expect((await actionsOf(vault)).filter((action) => action === "secret.get")).toHaveLength(1);
    expect(await vault.audit.verify()).toMatchObject({
      ok: true,
      spool: { waiting: 0, damaged: [] },
    });
  });

  test.each([
    [
      "an entry changed",
      (lines: string[]) => lines.with(2, (lines[2] ?? "").replace('\\"a\\"', '\\"b\\"')),
      3,
      1,
    ],
    ["a line left out", (lines: string[]) => lines.toSpliced(2, 1), 3, 1],
    ["a line twice", (lines: string[]) => lines.toSpliced(2, 0, lines[1] ?? ""), 3, 1],
    ["no JSON", (lines: string[]) => lines.with(1, "no JSON"), 2, 0],
    [
      "the first line changed",
      (lines: string[]) => lines.with(0, (lines[0] ?? "").replace('"after":', '"after":1')),
      1,
      0,
    ],
  ] as const)(
    "%s: what is sound comes in, the file is set aside, and all of it is said",
    async (_what, change, line, sound) => {
      const home = await makeHome();
      await leaveSpool(home, 3);
      writeFileSync(join(home, FILE), `${change(spooled(home)).join("\n")}\n`);
      const vault = await reopen(home);
      expect((await actionsOf(vault)).filter((action) => action === "secret.get")).toHaveLength(
        sound,
      );
      const [aside] = asides(home);
      const problem = `Line ${line} of ${FILE} is not as lango wrote it`;
      expect((await vault.audit.tail()).find(({ outcome }) => outcome === "failure")).toMatchObject(
        {
          action: "audit.spool",
          code: "ERR_INTEGRITY",
          detail: `${problem}; kept as ${aside}`,
        },
      );
      const report = await vault.audit.verify();
      expect(report.faults).toEqual([{ seq: 0, problem: expect.stringContaining(`${aside}`) }]);
      expect(report.spool.damaged).toHaveLength(1);
      // The owner is not locked out, and removes the file when it is looked into; the log remembers.
      await vault.secrets.get("a");
      rmSync(join(home, aside ?? ""));
      expect(await vault.audit.verify()).toMatchObject({
        ok: true,
        spool: { damaged: [expect.any(Number)] },
      });
    },
  );

  test("verify shows damage before anybody folds it", async () => {
    const home = await makeHome();
    const vault = await reopen(home, SPOOL);
    const lock = await holdWriteLock(home);
    await vault.secrets.get("a");
    const lines = spooled(home);
    writeFileSync(join(home, FILE), `${lines.join("\n").replace("owner", "agent")}\n`);
    expect((await vault.audit.verify()).faults).toEqual([
      { seq: 0, problem: `Line 2 of ${FILE} is not as lango wrote it` },
    ]);
    await using locked = await readVault({ home });
    expect((await locked.audit.verifyLinks()).spool.waiting).toBe(1);
    await lock.release();
  });

  test("cut at its end or gone while its writer lives: its writer says so", async () => {
    const home = await makeHome();
    for (const harm of [
      () => writeFileSync(join(home, FILE), `${spooled(home).slice(0, 2).join("\n")}\n`),
      () => rmSync(join(home, FILE)),
    ]) {
      const vault = await reopen(home, SPOOL);
      const lock = await holdWriteLock(home);
      await vault.secrets.get("a");
      await vault.secrets.get("a");
      harm();
      await lock.release();
      await vault.close();
      const again = await reopen(home);
      expect(
        (await again.audit.tail()).findLast(({ outcome }) => outcome === "failure"),
      ).toMatchObject({
        action: "audit.spool",
        detail: `The end of ${FILE} was cut off`,
      });
      await again.close();
    }
  });

  test("one that was folded and is put back adds nothing", async () => {
    const home = await makeHome();
    await leaveSpool(home);
    const old = readFileSync(join(home, FILE));
    await (await reopen(home)).close();
    writeFileSync(join(home, FILE), old, { mode: 0o600 });
    const vault = await reopen(home);
    expect((await actionsOf(vault)).filter((action) => action === "secret.get")).toHaveLength(2);
    expect(existsSync(join(home, FILE))).toBe(false);
    expect(await vault.audit.verify()).toMatchObject({ ok: true, spool: { damaged: [] } });
  });

  test("that others can read is refused", async () => {
    const home = await makeHome();
    await leaveSpool(home);
    chmodSync(join(home, FILE), 0o644);
    const error = await expectCode(() => reopen(home), "ERR_CONFIG");
    expect(error.context.hint).toMatch(/^Run: chmod 600 /);
  });
});
