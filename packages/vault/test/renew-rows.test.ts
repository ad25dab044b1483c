import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openSlot, parseKeyslots } from "@lango/envelope";
import { openStore } from "@lango/store";
import { expect, test } from "vitest";
import type { Vault } from "../src/index.ts";
import { isSound, type SteeringTable, type SteeringTables } from "../src/rows.ts";
import { edit, openKeys } from "./forge.ts";
import { bytes, expectCode, makeVault, newHome, PASSPHRASE, reopen, text } from "./helpers.ts";
import { checkWhole } from "./rig/whole.ts";

const kept = async (vault: Vault) =>
  (await vault.slots.list()).map(({ id }) => ({
    slotId: id,
    credential: { kind: "passphrase", passphrase: bytes(PASSPHRASE) } as const,
  }));

const filled = async (home: string): Promise<Vault> => {
  const vault = await makeVault(home);
  for (let i = 0; i < 600; i += 1) await vault.secrets.set(`n/${i}`, bytes(`value ${i}`));
  await vault.secrets.delete("n/7");
  await vault.keys.create({ name: "sign", type: "signing", algorithm: "ed25519" });
  const fingerprint = "A".repeat(43);
  const id = "p".repeat(22);
  await vault.companions.add({ id, name: "phone", role: "companion", fingerprint });
  await vault.companions.results.put(id, "r", new Uint8Array(32), bytes("signature"));
  return vault;
};

test("after a compromise all rows go under a new key, while others read and write", {
  timeout: 120_000,
}, async () => {
  const home = newHome();
  const old = await filled(home);
  const before = await openKeys(home);
  const { vault } = await old.rekey({ credentials: await kept(old), compromised: true });
  expect(await vault.status()).toMatchObject({ renewing: true });
  // Rows under the former key are read, and written under the new one.
  expect(text((await vault.secrets.get("n/1")).value)).toBe("value 1");
  await vault.secrets.set("n/1", bytes("changed"));
  expect(text((await vault.companions.results.find("p".repeat(22), "r"))!.result)).toBe(
    "signature",
  );
  await checkWhole(vault, home);
  await expectCode(
    async () => vault.rekey({ credentials: await kept(vault), compromised: true }),
    "ERR_CONFLICT",
  );

  const other = await reopen(home);
  let writes = 0;
  let stop = false;
  const writing = (async () => {
    while (!stop) {
      await other.secrets.set(`w/${writes % 5}`, bytes(`write ${writes}`));
      writes += 1;
      await other.secrets.get(`n/${writes % 600 === 7 ? 8 : writes % 600}`);
    }
  })();
  const seen: number[] = [];
  const { rows } = await vault.renewRows({ onProgress: ({ done }) => seen.push(done) });
  stop = true;
  await writing;
  expect(rows).toBeGreaterThanOrEqual(600);
  expect(seen.length).toBeGreaterThan(2);
  expect(writes).toBeGreaterThan(0);
  expect(await vault.status()).toMatchObject({ renewing: false });
  expect(await vault.renewRows()).toEqual({ rows: 0 });
  await vault.close();
  await other.close();

  // No row is under the key that whoever has the old vault key can derive.
  const { keyslots } = await openKeys(home);
  expect(Object.keys(keyslots)).not.toContain("inherited");
  const after = await reopen(home);
  expect(text((await after.secrets.get("n/599")).value)).toBe("value 599");
  await checkWhole(after, home);
  await after.close();
  const now = (await openKeys(home)).keys.rows;
  await using store = await openStore({ file: join(home, "lango.db"), mode: "read" });
  const all = await store.secrets.walk(undefined, 1000);
  expect(all.length).toBeGreaterThanOrEqual(600);
  expect(all.some(({ deletedAt }) => deletedAt !== null)).toBe(true);
  for (const row of all) {
    expect(isSound(before.keys.rows, "secrets", row)).toBe(false);
    expect(isSound(now, "secrets", row)).toBe(true);
  }
});

test("grants and handles go with the key that their arguments are under", async () => {
  const home = newHome();
  const old = await makeVault(home);
  const action = { session: "s", tool: "exec", arguments: { a: 1 } };
  await old.approvals.grants.add({
    ...{ scope: "minutes", action, dangerous: false, by: "terminal", minutes: 5 },
  });
  expect(await old.approvals.grants.list()).toHaveLength(1);
  const { vault } = await old.rekey({ credentials: await kept(old), compromised: true });
  expect(await vault.approvals.grants.list()).toEqual([]);
  await checkWhole(vault, home);
  await vault.close();
  const keyslots = parseKeyslots(readFileSync(join(home, "keyslots.json")));
  expect(Object.keys(keyslots.inherited ?? {})).toEqual(["formerRows"]);
  expect(await openSlot(keyslots, keyslots.slots[0]!, bytes(PASSPHRASE))).toHaveLength(32);
});

test("an interrupted renewal goes on where it was", async () => {
  const home = newHome();
  const old = await filled(home);
  const { vault } = await old.rekey({ credentials: await kept(old), compromised: true });
  const stop = new AbortController();
  await expect(
    vault.renewRows({ signal: stop.signal, onProgress: () => stop.abort(new Error("stop")) }),
  ).rejects.toThrow("stop");
  expect(await vault.status()).toMatchObject({ renewing: true });
  await vault.close();
  const again = await reopen(home);
  await checkWhole(again, home);
  await again.renewRows();
  expect(await again.status()).toMatchObject({ renewing: false });
  await checkWhole(again, home);
});

test("an encrypted database keeps its key with a new vault key, and gets another after a compromise", async () => {
  const home = newHome();
  const database = { enabled: true } as const;
  const made = await makeVault(home, PASSPHRASE, { database });
  await made.secrets.set("a", bytes("v"));
  const first = await openKeys(home);
  const databaseKey = first.keys.database();

  const { vault } = await made.rekey({ credentials: await kept(made) });
  expect(vault.database.status()).toMatchObject({ encrypted: true });
  await vault.close();
  const second = await openKeys(home);
  expect(second.keys.database()).toEqual(databaseKey);
  const open = await reopen(home, { database });
  const { vault: next } = await open.rekey({ credentials: await kept(open), compromised: true });
  expect(text((await next.secrets.get("a")).value)).toBe("v");
  await next.renewRows();
  await next.close();
  const third = await openKeys(home);
  expect(third.keyslots.inherited).toBeUndefined();
  expect(third.keys.database()).not.toEqual(databaseKey);
  await expectCode(
    () => openStore({ file: join(home, "lango.db"), mode: "open", key: databaseKey }),
    "ERR_INTEGRITY",
  );
  const last = await reopen(home, { database });
  expect(text((await last.secrets.get("a")).value)).toBe("v");
  await checkWhole(last, home);
});

test("rows of every kind go under the new key, the job of a rotation too, and answers to devices go", async () => {
  const home = newHome();
  const old = await makeVault(home);
  await old.secrets.set("a", bytes("value"));
  await old.approvals.policy.set({ ...(await old.approvals.policy.get()), approvalPolicy: "all" });
  const fingerprint = "A".repeat(43);
  const id = "p".repeat(22);
  await old.companions.add({ id, name: "phone", role: "companion", fingerprint });
  await old.companions.results.put(id, "r", new Uint8Array(32), bytes("signature"));
  const stop = new AbortController();
  const onProgress = (): void => stop.abort(new Error("stop"));
  const started = old.rotation.start({ signal: stop.signal, onProgress });
  await expect(started).rejects.toThrow("stop");
  const { vault } = await old.rekey({ credentials: await kept(old), compromised: true });
  await vault.renewRows();
  expect(await vault.companions.results.find(id, "r")).toBeUndefined();
  await vault.close();
  const { current } = (await openKeys(home)).keys.rows;
  await using store = await openStore({ file: join(home, "lango.db"), mode: "read" });
  const { keys, dataKeys, companions, policies, jobs } = store;
  const sound = <T extends SteeringTable>(table: T, rows: readonly SteeringTables[T][]): void => {
    expect(rows.length, table).toBeGreaterThan(0);
    for (const row of rows) expect(isSound({ current }, table, row), table).toBe(true);
  };
  const all = await keys.list();
  sound("vault", [(await store.vault.get())!]);
  sound("keys", all);
  sound("key_versions", (await Promise.all(all.map((key) => keys.listVersions(key.id)))).flat());
  sound("data_keys", await dataKeys.list());
  sound("companions", await companions.list());
  sound("policies", await policies.list());
  sound("jobs", await jobs.list());
  const again = await reopen(home);
  await again.rotation.resume();
  await checkWhole(again, home);
});

test("a row that is under neither key ends the renewal, and is not written anew", async () => {
  const home = newHome();
  const old = await makeVault(home);
  await old.secrets.set("a", bytes("value"));
  const { vault } = await old.rekey({ credentials: await kept(old), compromised: true });
  edit(home, "UPDATE secrets SET updated_at = updated_at + 1");
  await expectCode(() => vault.renewRows(), "ERR_INTEGRITY");
  await expectCode(() => vault.renewRows({ acceptFaults: true }), "ERR_INTEGRITY");
  expect(await vault.status()).toMatchObject({ renewing: true });
  await expectCode(() => vault.secrets.get("a"), "ERR_INTEGRITY");
});
