import { chmodSync } from "node:fs";
import { CryptoError } from "@lango/crypto-core";
import { describe, expect, it } from "vitest";
import { isBusy, mapSqliteError } from "../src/sqlite-errors.ts";
import { DRIVERS, fails, insertKeys, insertSecret, newStore, open } from "./helpers.ts";
import { auditRow, keyRow, secretRow, versionRow } from "./rows.ts";

const native = (code: string) => Object.assign(new Error("SQLite says"), { code });

describe("result codes", () => {
  it.each([
    ["SQLITE_BUSY", "ERR_BUSY", true],
    ["SQLITE_BUSY_SNAPSHOT", "ERR_BUSY", true],
    ["SQLITE_BUSY_RECOVERY", "ERR_BUSY", true],
    ["SQLITE_LOCKED", "ERR_BUSY", true],
    ["SQLITE_FULL", "ERR_BUSY", false],
    ["SQLITE_IOERR", "ERR_BUSY", false],
    ["SQLITE_IOERR_SHMSIZE", "ERR_BUSY", false],
    ["SQLITE_IOERR_WRITE", "ERR_BUSY", false],
    ["SQLITE_IOERR_FSYNC", "ERR_BUSY", false],
    ["SQLITE_NOMEM", "ERR_BUSY", false],
    ["SQLITE_CANTOPEN", "ERR_ACCESS_DENIED", false],
    ["SQLITE_CANTOPEN_ISDIR", "ERR_ACCESS_DENIED", false],
    ["SQLITE_CORRUPT", "ERR_INTEGRITY", false],
    ["SQLITE_CORRUPT_INDEX", "ERR_INTEGRITY", false],
    ["SQLITE_NOTADB", "ERR_INTEGRITY", false],
    ["SQLITE_READONLY", "ERR_ACCESS_DENIED", false],
    ["SQLITE_READONLY_DBMOVED", "ERR_ACCESS_DENIED", false],
    ["SQLITE_PERM", "ERR_ACCESS_DENIED", false],
    ["SQLITE_AUTH", "ERR_ACCESS_DENIED", false],
    ["SQLITE_TOOBIG", "ERR_INVALID_ARGUMENT", false],
    ["SQLITE_CONSTRAINT_UNIQUE", "ERR_CONFLICT", false],
    ["SQLITE_CONSTRAINT_PRIMARYKEY", "ERR_CONFLICT", false],
    ["SQLITE_CONSTRAINT_FOREIGNKEY", "ERR_CONFLICT", false],
    ["SQLITE_CONSTRAINT_CHECK", "ERR_INTERNAL", false],
    ["SQLITE_CONSTRAINT_DATATYPE", "ERR_INTERNAL", false],
    ["SQLITE_MISUSE", "ERR_INTERNAL", false],
    ["EACCES", "ERR_ACCESS_DENIED", false],
    ["EPERM", "ERR_ACCESS_DENIED", false],
    ["EROFS", "ERR_ACCESS_DENIED", false],
    ["ENOTDIR", "ERR_CONFIG", false],
    ["ENOSPC", "ERR_BUSY", false],
    ["EDQUOT", "ERR_BUSY", false],
    ["EIO", "ERR_BUSY", false],
    ["EMFILE", "ERR_BUSY", false],
    ["NO_CODE_OF_SQLITE", "ERR_INTERNAL", false],
    ["", "ERR_INTERNAL", false],
  ])("%s is %s", (code, expected, retryable) => {
    const cause = native(code);
    const error = mapSqliteError(cause, "/home/x/lango.db");
    expect(error).toMatchObject({ code: expected, retryable, cause });
    expect(error.message).toContain("/home/x/lango.db");
    expect(error.message).not.toContain("\n");
    // A full disk is no lock: waiting for it helps nothing.
    expect(isBusy(cause)).toBe(expected === "ERR_BUSY" && error.retryable);
  });

  it.each(["SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "ENOSPC"])(
    "%s says that the disk is full",
    (code) => {
      expect(mapSqliteError(native(code), "f").message).toContain("the disk or its quota is full");
    },
  );

  it("a CryptoError passes unchanged", () => {
    const error = new CryptoError("ERR_CLOSED", "closed");
    expect(mapSqliteError(error, "f")).toBe(error);
    expect(isBusy(error)).toBe(false);
  });
});

describe.each(DRIVERS)("real faults with %s", (_, sqlite) => {
  /** A driver whose databases cannot grow: the same SQLITE_FULL as of a full disk. */
  class Small extends sqlite {
    override exec(sql: string) {
      const result = super.exec(sql);
      super.exec("pragma max_page_count = 60");
      return result;
    }
  }

  it("a full disk is ERR_BUSY with a hint; nothing is half-written, and the store goes on", async () => {
    const store = await newStore({ sqlite: Small });
    const { dataKey } = await store.transaction("full", insertKeys);
    const large = store.transaction("full", async (tx) => {
      const secret = secretRow({ keyId: dataKey.keyId });
      await tx.secrets.insertSecret(secret, {
        ...versionRow({ secretId: secret.id, dataKeyId: dataKey.id }),
        sealed: new Uint8Array(1 << 20),
      });
    });
    const error = await fails("ERR_BUSY", large);
    expect(error.retryable).toBe(false);
    expect(error.context.hint).toMatch(/space/);
    expect(await store.secrets.list({ collection: "secrets" })).toEqual([]);
    expect(await store.counts()).toMatchObject({ secrets: 0 });
    await store.transaction("full", (tx) => insertSecret(tx, dataKey));
    expect(await store.integrityCheck()).toEqual([]);
  });

  it("nothing that follows a full disk is written, though SQLite has rolled back by itself", async () => {
    const store = await newStore({ sqlite: Small });
    const entry = "x".repeat(1 << 20);
    const full = store.transaction("full", async (tx) => {
      const first = auditRow({ seq: 1, entry });
      await tx.audit.append([first]).catch(() => undefined);
      await tx.keys.insert(keyRow()).catch(() => undefined);
    });
    await fails("ERR_BUSY", full);
    expect(await store.counts()).toEqual({ secrets: 0, keys: 0, dataKeys: 0, auditRows: 0 });
  });

  it("a read-only connection is ERR_ACCESS_DENIED", async () => {
    const store = await newStore({ sqlite });
    await store.close();
    class Readonly extends sqlite {
      constructor(file: string | Uint8Array, options: object) {
        super(file, String(file).endsWith(".lock") ? options : { ...options, readonly: true });
      }
    }
    const denied = await open({ file: store.location, mode: "open", sqlite: Readonly });
    const error = await fails("ERR_ACCESS_DENIED", denied.transaction("full", insertKeys));
    expect(error.message).toContain(store.location);
  });

  it("a wrong type is refused by the table, and no value gets into the message", async () => {
    const store = await newStore({ sqlite });
    const wrong = store.transaction("full", async (tx) => {
      const { dataKey } = await insertKeys(tx);
      await insertSecret(tx, dataKey, { name: "hush-hush", createdAt: "hush-hush" as never });
    });
    const error = await fails("ERR_INTERNAL", wrong);
    expect(JSON.stringify([error.message, error.context, String(error.cause)])).not.toContain(
      "hush",
    );
  });

  it("a folder that is gone is a typed error", async () => {
    const store = await newStore({ sqlite });
    await store.close();
    chmodSync(store.location, 0o600);
    await fails(
      "ERR_NOT_FOUND",
      open({ file: `${store.location}.d/lango.db`, mode: "create", sqlite }),
    );
  });
});
