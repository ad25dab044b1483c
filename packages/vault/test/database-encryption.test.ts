import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ERROR_CODES } from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import { acceptRollback, inspectHome, readVault } from "../src/index.ts";
import { bytes, expectCode, makeVault, newHome, reopen, text, withPassphrase } from "./helpers.ts";

const ON = { enabled: true } as const;
const OFF = { enabled: false } as const;
const NAME = "a-name-that-nobody-else-has";
const PLAIN_HEADER = "SQLite format 3\0";

const filesWith = (home: string, found: string): string[] =>
  readdirSync(home).filter((name) => readFileSync(join(home, name)).includes(found));

const encrypted = async (home: string): Promise<void> => {
  const vault = await makeVault(home, undefined, { database: ON });
  await vault.secrets.set(NAME, bytes("v"));
  await vault.close();
};

describe("a vault with an encrypted database", () => {
  test("is born so, and opens whatever the settings wish but plaintext", async () => {
    const home = newHome();
    const vault = await makeVault(home, undefined, {
      database: { enabled: true, cipherPageSize: 8192 },
    });
    expect(vault.database.status()).toEqual({ encrypted: true, cipherPageSize: 8192 });
    await vault.secrets.set(NAME, bytes("v"));
    expect(filesWith(home, NAME)).toEqual([]);
    expect(filesWith(home, PLAIN_HEADER)).toEqual([]);
    await vault.close();
    expect(readdirSync(home).sort()).toEqual([
      "keyslots.bak.json",
      "keyslots.json",
      "lango.db",
      "lango.lock",
    ]);
    for (const database of [undefined, ON, { enabled: true, cipherPageSize: 1024 }]) {
      const again = await reopen(home, { database });
      expect(text((await again.secrets.get(NAME)).value)).toBe("v");
      expect(await again.status()).toMatchObject({
        locked: false,
        secretCount: 1,
        database: { encrypted: true, cipherPageSize: 8192 },
      });
      expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true });
      await again.close();
    }
    const { context } = await expectCode(reopen(home, { database: OFF }), "ERR_CONFIG");
    expect(context.hint).toMatch(/db-decrypt.*settings set security.dbEncryption.enabled true/);
    await expectCode(reopen(home, { passphrase: "not the passphrase" }), "ERR_WRONG_PASSPHRASE");
  });

  test("shows, while it is locked, its slots and that it is locked", async () => {
    const home = newHome();
    await encrypted(home);
    expect(await inspectHome(home)).toBe("ready");
    await using vault = await readVault({ home });
    expect(await vault.status()).toMatchObject({
      locked: true,
      secretCount: null,
      keyCount: null,
      createdAt: null,
      database: { encrypted: true, cipherPageSize: null },
      slots: [{ kind: "passphrase" }],
      slotFile: null,
    });
    expect(await vault.slots.list()).toHaveLength(1);
    for (const read of [
      () => vault.secrets.list(),
      () => vault.keys.list(),
      () => vault.companions.list(),
      () => vault.audit.tail(),
      () => vault.audit.verifyLinks(),
    ])
      await expectCode(read(), "ERR_LOCKED");
    await vault.close();
    await expectCode(vault.status(), "ERR_CLOSED");
  });

  test("is not taken for plaintext, and plaintext not for it", async () => {
    const [home, other] = [newHome(), newHome()];
    await encrypted(home);
    const plain = await makeVault(other);
    await plain.close();
    const { context } = await expectCode(reopen(other, { database: ON }), "ERR_CONFIG");
    expect(context.hint).toContain("lango security db-migrate");
    // Somebody puts a database in plaintext into the place of the encrypted one.
    renameSync(join(other, "lango.db"), join(home, "lango.db"));
    await expectCode(reopen(home, { database: ON }), "ERR_CONFIG");
    await expectCode(reopen(home), "ERR_INTEGRITY");
  });

  test("opens no database of another vault, or a damaged one: exit 8, where a wrong passphrase is 4", async () => {
    const [home, other] = [newHome(), newHome()];
    await encrypted(home);
    await encrypted(other);
    const own = readFileSync(join(home, "lango.db"));
    writeFileSync(join(home, "lango.db"), readFileSync(join(other, "lango.db")));
    expect(ERROR_CODES[(await expectCode(reopen(home), "ERR_INTEGRITY")).code].exit).toBe(8);
    const wrong = await expectCode(
      reopen(home, { passphrase: "not mine" }),
      "ERR_WRONG_PASSPHRASE",
    );
    expect(ERROR_CODES[wrong.code].exit).toBe(4);
    own[100] = (own[100] ?? 0) ^ 1;
    writeFileSync(join(home, "lango.db"), own);
    await expectCode(reopen(home), "ERR_INTEGRITY");
    expect(readFileSync(join(home, "lango.db")).equals(own)).toBe(true);
    rmSync(join(home, "lango.db"));
    await expectCode(reopen(home), "ERR_CONFLICT");
  });

  test("without its slots it is no abandoned onboarding", async () => {
    const home = newHome();
    await encrypted(home);
    rmSync(join(home, "keyslots.json"));
    const state = await inspectHome(home);
    expect(state).toMatchObject({
      damaged: {
        code: "ERR_CONFLICT",
        context: { hint: expect.stringContaining("keyslots.bak.json") },
      },
    });
    rmSync(join(home, "keyslots.bak.json"));
    expect(await inspectHome(home)).toMatchObject({ damaged: { code: "ERR_CONFLICT" } });
    await expectCode(makeVault(home, undefined, { database: ON }), "ERR_CONFLICT");
  });

  test("the mark of an abandoned onboarding is of its own database, and of no other", async () => {
    const [home, other] = [newHome(), newHome()];
    for (const each of [home, other]) await encrypted(each);
    const own = readFileSync(join(home, "lango.db"));
    for (const name of ["keyslots.json", "keyslots.bak.json"]) rmSync(join(home, name));
    const mark = join(home, "lango.db.onboarding");
    for (const salt of [new Uint8Array(), readFileSync(join(other, "lango.db")).subarray(0, 16)]) {
      writeFileSync(mark, salt);
      expect(await inspectHome(home)).toMatchObject({ damaged: { code: "ERR_CONFLICT" } });
      await expectCode(makeVault(home, undefined, { database: ON }), "ERR_CONFLICT");
      expect(readFileSync(join(home, "lango.db")).equals(own)).toBe(true);
    }
    writeFileSync(mark, own.subarray(0, 16));
    expect(await inspectHome(home)).toBe("half-made");
  });

  test("an older file is found out", async () => {
    const home = newHome();
    await encrypted(home);
    const old = readFileSync(join(home, "lango.db"));
    const vault = await reopen(home);
    await vault.slots.add({ kind: "env", key: new Uint8Array(32).fill(3) });
    await vault.close();
    writeFileSync(join(home, "lango.db"), old);
    await expectCode(reopen(home), "ERR_STORE_ROLLED_BACK");
    expect(await acceptRollback({ home, unlock: withPassphrase() })).toMatchObject({
      older: "store",
    });
    const again = await reopen(home);
    expect(text((await again.secrets.get(NAME)).value)).toBe("v");
  });
});

describe("changing the encryption of an open vault", () => {
  test("there and back: every secret reads, nothing is left in plaintext, the log says so", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set(NAME, bytes("v"));
    expect(vault.database.status()).toEqual({ encrypted: false });
    expect(filesWith(home, NAME)).not.toEqual([]);
    const steps: number[] = [];
    const onProgress = ({ done }: { done: number }) => steps.push(done);
    const { changed, rows } = await vault.database.encrypt({ onProgress });
    expect([changed, rows > 5]).toEqual([true, true]);
    expect(steps).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(await vault.database.encrypt()).toEqual({ changed: false, rows: 0 });
    expect(text((await vault.secrets.get(NAME)).value)).toBe("v");
    await vault.secrets.set("second", bytes("w"));
    expect(filesWith(home, NAME)).toEqual([]);
    await vault.close();
    expect(filesWith(home, NAME)).toEqual([]);
    expect(filesWith(home, PLAIN_HEADER)).toEqual([]);

    const again = await reopen(home, { database: ON });
    expect(await again.database.decrypt()).toMatchObject({ changed: true });
    expect(await again.database.decrypt()).toEqual({ changed: false, rows: 0 });
    expect(text((await again.secrets.get("second")).value)).toBe("w");
    expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true });
    const events = (await again.audit.tail()).filter(({ action }) =>
      action.startsWith("database."),
    );
    expect(events.map(({ action, detail }) => `${action} ${detail?.split(",")[0]}`)).toEqual([
      "database.encrypt begun",
      "database.encrypt done",
      "database.decrypt begun",
      "database.decrypt done",
    ]);
    await again.close();
    await reopen(home, { database: OFF });
  });

  test("what goes on meanwhile waits and is not lost", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set(NAME, bytes("0"));
    const work = Array.from({ length: 40 }, async (_, step) => {
      await vault.secrets.set(`s/${step}`, bytes(`${step}`));
      return text((await vault.secrets.get(`s/${step}`)).value);
    });
    await vault.database.encrypt();
    const more = Array.from(
      { length: 40 },
      async (_, step) => text((await vault.secrets.get(NAME)).value) + step,
    );
    await vault.database.decrypt();
    expect(await Promise.all(work)).toEqual(work.map((_, step) => `${step}`));
    expect(await Promise.all(more)).toEqual(more.map((_, step) => `0${step}`));
    expect(await vault.status()).toMatchObject({ secretCount: 41 });
  });

  test("an abort changes nothing; another user of the home keeps it from happening", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    const reason = new Error("stop");
    const controller = new AbortController();
    const onProgress = ({ done }: { done: number }) => {
      if (done === 2) controller.abort(reason);
    };
    const { signal } = controller;
    await expect(vault.database.encrypt({ onProgress, signal })).rejects.toBe(reason);
    expect(vault.database.status()).toEqual({ encrypted: false });
    const second = await reopen(home, { busyTimeoutMs: 50 });
    await expectCode(second.database.encrypt(), "ERR_BUSY");
    await second.secrets.set("a", bytes("v"));
    await second.close();
    await vault.database.encrypt();
    expect(text((await vault.secrets.get("a")).value)).toBe("v");
  });
});
