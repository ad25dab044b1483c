import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { openStore, type Store } from "@lango/store";
import { describe, expect, test } from "vitest";
import { CIPHER_PAGE_SIZES } from "../src/cipher.ts";
import {
  DRIVERS,
  ended,
  fails,
  insertKeys,
  insertSecret,
  newStore,
  open,
  printed,
  Sqlite,
  startScript,
  tempHome,
} from "./helpers.ts";

const KEY = new Uint8Array(32).fill(7);
const OTHER = new Uint8Array(32).fill(8);
const NAME = "a-name-that-nobody-else-has";
const PLAIN_HEADER = Buffer.from("SQLite format 3\0");

const addSecret = (store: Store, name: string = NAME): Promise<void> =>
  store.transaction("full", async (tx) => {
    const dataKeys = await tx.dataKeys.list();
    const dataKey = dataKeys[0] ?? (await insertKeys(tx)).dataKey;
    await insertSecret(tx, dataKey, { name });
  });

const names = async (store: Store): Promise<string[]> =>
  (await store.secrets.list({ collection: "secrets" })).map(({ name }) => name);

/** The files of a folder that hold some bytes. */
const filesWith = (folder: string, bytes: string | Buffer): string[] =>
  readdirSync(folder).filter((name) => readFileSync(join(folder, name)).includes(bytes));

/** An encrypted database with a secret, closed. */
async function encrypted(pageSize = 4096): Promise<string> {
  const store = await newStore({ key: KEY, cipherPageSize: pageSize });
  await addSecret(store);
  await store.close();
  return store.location;
}

async function plain(): Promise<string> {
  const store = await newStore();
  await addSecret(store);
  await store.close();
  return store.location;
}

describe("an encrypted database", () => {
  test.each(CIPHER_PAGE_SIZES)(
    "with pages of %d bytes shows nothing in any file, open or closed",
    async (pageSize) => {
      const file = join(tempHome(), "lango.db");
      const store = await openStore({ file, mode: "create", key: KEY, cipherPageSize: pageSize });
      await addSecret(store);
      expect(store.cipher).toEqual({ pageSize });
      expect(await store.integrityCheck()).toEqual([]);
      expect(existsSync(`${file}-wal`)).toBe(true);
      for (const text of [NAME, "create table", PLAIN_HEADER])
        expect(filesWith(dirname(file), text)).toEqual([]);
      await store.close();
      expect(filesWith(dirname(file), NAME)).toEqual([]);
      // Whatever the settings say of its pages.
      for (const wished of [1024, 65_536]) {
        const again = await open({ file, mode: "open", key: KEY, cipherPageSize: wished });
        expect(await names(again)).toEqual([NAME]);
        expect(again.cipher).toEqual({ pageSize });
      }
      const reader = await open({ file, mode: "read", key: KEY });
      expect(await names(reader)).toEqual([NAME]);
    },
  );

  test("is told apart from one in plaintext, a damaged one and one of another application", async () => {
    const file = await encrypted();
    await fails("ERR_LOCKED", openStore({ file, mode: "open" }));
    await fails("ERR_LOCKED", openStore({ file, mode: "read" }));
    await fails("ERR_INTEGRITY", openStore({ file, mode: "open", key: OTHER }));
    // Also while this process has it open, when nobody may read it past SQLite.
    const store = await open({ file, mode: "open", key: KEY });
    await fails("ERR_LOCKED", openStore({ file, mode: "read" }));
    await store.close();

    const damaged = await plain();
    const bytes = readFileSync(damaged);
    writeFileSync(damaged, bytes.fill(0xee, 0, 40));
    await fails("ERR_INTEGRITY", openStore({ file: damaged, mode: "open" }));
    await fails("ERR_INTEGRITY", openStore({ file: damaged, mode: "open", key: KEY }));

    const { message, context } = await fails(
      "ERR_CONFIG",
      openStore({ file: await plain(), mode: "open", key: KEY }),
    );
    expect(message).toContain("plaintext");
    expect(context.hint).toContain("db-migrate");

    const foreign = join(tempHome(), "lango.db");
    const other = new Sqlite(foreign, {});
    other.exec("pragma cipher = 'sqlcipher'; pragma legacy = 4");
    other.key?.(Buffer.from(`x'${"07".repeat(32)}'`));
    other.exec("create table theirs (a)");
    other.close();

    chmodSync(foreign, 0o600);
    const refused = await fails(
      "ERR_INTEGRITY",
      openStore({ file: foreign, mode: "open", key: KEY }),
    );
    expect(refused.message).toContain("another application");
  });

  test("that is cut, or changed in one bit, is damaged and left as it is", async () => {
    const file = await encrypted();
    const bytes = readFileSync(file);
    for (const change of [
      (copy: Buffer) => copy.subarray(0, 100),
      (copy: Buffer) => copy.subarray(0, 4096 + 100),
      (copy: Buffer) => {
        copy[20] = (copy[20] ?? 0) ^ 1;
        return copy;
      },
      (copy: Buffer) => {
        copy[4095] = (copy[4095] ?? 0) ^ 1;
        return copy;
      },
      (copy: Buffer) => copy.fill(0, 0, 16),
    ]) {
      const changed = change(Buffer.from(bytes));
      writeFileSync(file, changed);
      await fails("ERR_INTEGRITY", async () => {
        await using store = await openStore({ file, mode: "open", key: KEY });
        const faults = await store.integrityCheck();
        if (faults.length > 0) await fails("ERR_INTEGRITY", openStore({ file, mode: "open" }));
        await names(store);
      });
      expect(readFileSync(file)).toEqual(changed);
    }
  });

  test("needs a driver that can encrypt: no other makes or opens one", async () => {
    const [, sqlite] = DRIVERS[1] as (typeof DRIVERS)[number];
    const file = join(tempHome(), "lango.db");
    const { context } = await fails(
      "ERR_PROVIDER_NOT_INSTALLED",
      openStore({ file, mode: "create", key: KEY, sqlite }),
    );
    expect(context.hint).toContain("better-sqlite3-multiple-ciphers");
    expect(readdirSync(dirname(file))).toEqual([]);
    await fails(
      "ERR_PROVIDER_NOT_INSTALLED",
      openStore({ file: await encrypted(), mode: "open", key: KEY, sqlite }),
    );
    const store = await newStore({ sqlite });
    await addSecret(store);
    await fails("ERR_PROVIDER_NOT_INSTALLED", store.recrypt?.({ key: KEY }) ?? Promise.resolve());
    expect(await names(store)).toEqual([NAME]);
  });

  test("takes keys of 32 bytes and pages of a power of two only", async () => {
    const file = join(tempHome(), "lango.db");
    for (const key of [new Uint8Array(0), new Uint8Array(31), new Uint8Array(64)])
      await fails("ERR_INVALID_ARGUMENT", openStore({ file, mode: "create", key }));
    for (const cipherPageSize of [0, 512, 1000, 131_072, Number.NaN])
      await fails(
        "ERR_INVALID_ARGUMENT",
        openStore({ file, mode: "create", key: KEY, cipherPageSize }),
      );
  });

  test.each([1024, 4096, 65_536])(
    "keeps the log of a process that died, whoever tries other keys (pages of %d)",
    async (pageSize) => {
      const file = join(tempHome(), "lango.db");
      await ended(startScript("die-with-log.ts", file, NAME, `${pageSize}`));
      expect(readFileSync(`${file}-wal`).length).toBeGreaterThan(0);
      const log = readFileSync(`${file}-wal`);
      await fails("ERR_LOCKED", openStore({ file, mode: "read" }));
      await fails("ERR_LOCKED", openStore({ file, mode: "open" }));
      await fails("ERR_INTEGRITY", openStore({ file, mode: "open", key: OTHER }));
      expect(readFileSync(`${file}-wal`).equals(log)).toBe(true);
      const store = await open({ file, mode: "open", key: KEY });
      expect(await names(store)).toEqual([NAME]);
      expect(await store.integrityCheck()).toEqual([]);
    },
  );
});

describe("recrypt", () => {
  test("encrypts, encrypts anew and decrypts, and the store goes on with the new file", async () => {
    const store = await newStore();
    const file = store.location;
    const folder = dirname(file);
    await addSecret(store);
    expect(filesWith(folder, NAME)).not.toEqual([]);
    // Of older versions, and of what died before.
    for (const name of [
      "lango.db.v1.bak",
      "lango.db.v2.bak.new",
      "lango.db.recrypt",
      "lango.db.recrypt-journal",
    ])
      writeFileSync(join(folder, name), NAME, { mode: 0o600 });
    const stages: string[] = [];
    const change = (options: Parameters<NonNullable<Store["recrypt"]>>[0]) =>
      store.withLock(async () =>
        store.recrypt?.({ ...options, onStage: (stage) => stages.push(stage) }),
      );

    await change({ key: KEY, cipherPageSize: 8192 });
    expect(stages).toEqual([
      "locked",
      "copied",
      "encrypted",
      "checked",
      "cleared",
      "renamed",
      "reopened",
    ]);
    expect(store.cipher).toEqual({ pageSize: 8192 });
    expect(await names(store)).toEqual([NAME]);
    await addSecret(store, "second");
    expect(filesWith(folder, NAME)).toEqual([]);
    expect(filesWith(folder, PLAIN_HEADER)).toEqual([]);
    await fails("ERR_LOCKED", openStore({ file, mode: "read" }));

    await change({ key: OTHER });
    expect(store.cipher).toEqual({ pageSize: 8192 });
    expect(await names(store)).toEqual([NAME, "second"]);
    await store.close();
    await fails("ERR_INTEGRITY", openStore({ file, mode: "open", key: KEY }));
    const again = await open({ file, mode: "open", key: OTHER });
    expect(await again.integrityCheck()).toEqual([]);

    await again.withLock(async () => again.recrypt?.({}));
    expect(again.cipher).toBeUndefined();
    expect(await names(again)).toEqual([NAME, "second"]);
    expect(await again.integrityCheck()).toEqual([]);
    expect(readFileSync(file).subarray(0, 16)).toEqual(PLAIN_HEADER);
    await again.close();
    expect(readdirSync(folder).sort()).toEqual(["lango.db", "lango.lock"]);
  });

  test("does nothing while anybody else has the file open, who goes on with it", async () => {
    const store = await newStore({ busyTimeoutMs: 100 });
    await addSecret(store);
    const child = startScript("hold-open.ts", store.location);
    await printed(child, "ready");
    const { message } = await fails("ERR_BUSY", store.recrypt?.({ key: KEY }) ?? Promise.resolve());
    expect(message).toContain("is open in another");
    child.stdin?.write("\n");
    await printed(child, "written");
    expect(await names(store)).toEqual([NAME]);
    child.kill("SIGKILL");
    await ended(child);
    // Of this process, too.
    const second = await open({ file: store.location, mode: "read" });
    await fails("ERR_BUSY", store.recrypt?.({ key: KEY }) ?? Promise.resolve());
    await second.close();
    await store.recrypt?.({ key: KEY });
    expect(await names(store)).toEqual([NAME]);
  });

  test("keeps everybody out until the new file is in place", async () => {
    const store = await newStore();
    await addSecret(store);
    const child = startScript("hold-open.ts", store.location);
    await store.recrypt?.({
      key: KEY,
      onStage: (stage) => {
        if (stage !== "checked") return;
        const other = new Sqlite(store.location, { timeout: 0 });
        expect(() => other.prepare("select count(*) from secrets").get()).toThrow("locked");
        other.close();
      },
    });
    await ended(child);
    // It waited, and met an encrypted file, or came in before the work began.
    expect(child.output()).toMatch(/ERR_LOCKED|is encrypted/);
  });

  test("an error before the end changes nothing, and leaves nothing", async () => {
    const store = await newStore();
    await addSecret(store);
    const folder = dirname(store.location);
    for (const at of ["locked", "copied", "encrypted", "checked"]) {
      const stop = new Error(`stopped at ${at}`);
      const onStage = (stage: string) => {
        if (stage === at) throw stop;
      };
      await expect(store.recrypt?.({ key: KEY, onStage })).rejects.toBe(stop);
      expect(store.cipher).toBeUndefined();
      expect(await names(store)).toEqual([NAME]);
      expect(readdirSync(folder).filter((name) => name.includes("recrypt"))).toEqual([]);
    }
  });

  test("what is left of one that died is removed by the next opening", async () => {
    const file = await encrypted();
    for (const suffix of ["", "-journal", "-wal"])
      writeFileSync(`${file}.recrypt${suffix}`, NAME, { mode: 0o600 });
    await (await openStore({ file, mode: "open", key: KEY })).close();
    expect(filesWith(dirname(file), NAME)).toEqual([]);
  });
});

test("a store whose file was replaced neither reads nor writes the old one", async () => {
  const store = await newStore();
  await addSecret(store);
  renameSync(await plain(), store.location);
  await fails("ERR_CONFLICT", store.counts());
  await fails("ERR_CONFLICT", addSecret(store));
  await store.close();
});
