import { chmodSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openStore, type Store } from "@lango/store";
import { describe, expect, test } from "vitest";
import { runSqlcipher } from "../../../tooling/services/sqlcipher.ts";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { CIPHER_PAGE_SIZES } from "../src/cipher.ts";
import { fails, insertKeys, insertSecret, newStore, open, tempHome } from "./helpers.ts";
import { readAll } from "./read-all.ts";

const KEY = Uint8Array.from({ length: 32 }, (_, at) => at * 7);
const RAW = `x'${Buffer.from(KEY).toString("hex")}'`;
const PASSPHRASE = `it's a "passphrase"; with quotes, ü and 鍵`;

const sqlcipher = (args: readonly string[], key = RAW): unknown =>
  runSqlcipher(requireService("sqlcipher"), args, key);

async function fill(store: Store): Promise<void> {
  await store.transaction("full", async (tx) => {
    const { dataKey } = await insertKeys(tx);
    for (let count = 0; count < 50; count++) {
      await insertSecret(tx, dataKey, { name: `name/${`${count}`.padStart(2, "0")}` });
    }
  });
}

/** A database in plaintext with 50 secrets, closed. */
async function plain(): Promise<{ file: string; rows: unknown }> {
  const store = await newStore();
  await fill(store);
  const rows = await readAll(store);
  await store.close();
  return { file: store.location, rows };
}

describe("genuine SQLCipher 4", () => {
  test("is what these tests are held to", () => {
    expect(sqlcipher(["version"])).toMatch(/^4\.\d+\.\d+ community$/);
  });

  test.each(CIPHER_PAGE_SIZES)(
    "reads and writes what lango made, with pages of %d bytes",
    async (pageSize) => {
      const store = await newStore({ key: KEY, cipherPageSize: pageSize });
      await fill(store);
      await store.close();
      const file = store.location;
      const found = sqlcipher(["read", file, `${pageSize}`]);
      expect(found).toMatchObject({ pageSize, cipherFaults: [], faults: ["ok"] });
      expect((found as { names: string[] }).names).toHaveLength(50);
      expect(sqlcipher(["touch", file, `${pageSize}`])).toBe(50);
      const again = await open({ file, mode: "open", key: KEY });
      expect((await again.secrets.describe("secrets", "name/07"))?.uses).toBe(1000);
      expect(await again.integrityCheck()).toEqual([]);
    },
  );

  test.each(CIPHER_PAGE_SIZES)(
    "makes what lango opens, with pages of %d bytes",
    async (pageSize) => {
      const { file, rows } = await plain();
      const made = join(tempHome(), "lango.db");
      sqlcipher(["make", made, `${pageSize}`, file]);
      chmodSync(made, 0o600);
      const store = await open({ file: made, mode: "open", key: KEY });
      expect(store.cipher).toEqual({ pageSize });
      expect(await readAll(store)).toEqual(rows);
      expect(await store.integrityCheck()).toEqual([]);
      await fill(store).catch(() => undefined);
      await store.close();
      expect(sqlcipher(["read", made, `${pageSize}`])).toMatchObject({
        cipherFaults: [],
        faults: ["ok"],
      });
    },
  );

  test("reads a database that was encrypted, encrypted anew and has a log in it", async () => {
    const { file } = await plain();
    const store = await open({ file, mode: "open" });
    await store.recrypt?.({ key: new Uint8Array(32).fill(1), cipherPageSize: 8192 });
    await store.recrypt?.({ key: KEY });
    expect(readFileSync(file).length % 8192).toBe(0);
    await store.transaction("full", async (tx) => {
      const [dataKey] = await tx.dataKeys.list();
      if (dataKey) await insertSecret(tx, dataKey, { name: "name/in-the-log" });
    });
    const found = sqlcipher(["read", file, "8192"]) as { names: string[] };
    expect(found).toMatchObject({ pageSize: 8192, cipherFaults: [], faults: ["ok"] });
    expect(found.names).toContain("name/in-the-log");
  });

  test("and a passphrase: lango opens such a database, and puts it under a raw key", async () => {
    const { file, rows } = await plain();
    const made = join(tempHome(), "lango.db");
    sqlcipher(["make", made, "4096", file], PASSPHRASE);
    chmodSync(made, 0o600);
    const passphrase = new TextEncoder().encode(PASSPHRASE);
    const other = passphrase.slice(1);
    await fails("ERR_WRONG_PASSPHRASE", openStore({ file: made, mode: "open", passphrase: other }));
    const store = await open({ file: made, mode: "open", passphrase });
    expect(store.cipher).toEqual({ pageSize: 4096, isPassphrase: true });
    await store.recrypt?.({ key: KEY });
    expect(store.cipher).toEqual({ pageSize: 4096 });
    expect(await readAll(store)).toEqual(rows);
    await store.close();
    expect(sqlcipher(["read", made, "4096"])).toMatchObject({ cipherFaults: [], faults: ["ok"] });
    await fails("ERR_WRONG_PASSPHRASE", openStore({ file: made, mode: "open", passphrase }));
  });
});
