import { join } from "node:path";
import { expect, test } from "vitest";
import type { LoadedSecret, Vault } from "../src/index.ts";
import { bytes, expectCode, makeVault, newHome, reopen, text } from "./helpers.ts";
import { Sqlite } from "./sqlite.ts";

const load = async (vault: Vault): Promise<LoadedSecret[]> => {
  const { values } = await vault.secrets.loadAll();
  const loaded: LoadedSecret[] = [];
  for await (const secret of values) loaded.push(secret);
  return loaded;
};

const makeFilled = async (): Promise<string> => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("first of a"));
  await vault.secrets.set("a", bytes("value of a"));
  await vault.secrets.set("gone", bytes("value of gone"));
  await vault.secrets.delete("gone");
  await vault.secrets.set("wallet/key", bytes("value of the wallet"));
  await vault.close();
  return home;
};

test("every living secret comes with its current value, after one row with their number", async () => {
  const vault = await reopen(await makeFilled());
  const { rows } = await vault.audit.verify();
  const { count, values } = await vault.secrets.loadAll();
  expect(count).toBe(2);
  expect((await vault.audit.verify()).rows).toBe(rows + 1);
  const loaded: [string, string][] = [];
  for await (const { name, value } of values) loaded.push([name, text(value!)]);
  expect(loaded).toEqual([
    ["a", "value of a"],
    ["wallet/key", "value of the wallet"],
  ]);
  expect((await vault.audit.verify()).rows).toBe(rows + 1);
  expect((await vault.audit.tail(1))[0]).toMatchObject({
    action: "secret.load",
    detail: "2 for masking",
    outcome: "success",
  });
  expect((await vault.secrets.list()).map(({ uses }) => uses)).toEqual([0, 0]);
});

test("one that does not open is named with its error, and in the log; the others come", async () => {
  const home = await makeFilled();
  const database = new Sqlite(join(home, "lango.db"), {});
  const ofA = "secret_id = (SELECT id FROM secrets WHERE name = 'a') AND version = 2";
  database.exec(`UPDATE secret_versions SET sealed = zeroblob(length(sealed)) WHERE ${ofA}`);
  database.close();
  const vault = await reopen(home);
  const [a, wallet] = await load(vault);
  expect(a).toMatchObject({ name: "a", error: { name: "CryptoError" } });
  expect(text(wallet!.value!)).toBe("value of the wallet");
  expect((await vault.audit.tail(1))[0]).toMatchObject({
    action: "secret.load",
    target: "a",
    outcome: "failure",
  });
});

test("a vault that is closed meanwhile ends it", async () => {
  const vault = await reopen(await makeFilled());
  const { values } = await vault.secrets.loadAll();
  await values.next();
  await vault.close();
  await expectCode(() => values.next(), "ERR_CLOSED");
});
