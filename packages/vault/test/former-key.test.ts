import { readFileSync } from "node:fs";
import { join } from "node:path";
import { toHex, zero } from "@lango/crypto-core";
import { createDataKey, openValue, sealValue } from "@lango/envelope";
import { openStore, type SecretRow, type StoreReads } from "@lango/store";
import { expect, onTestFinished, test } from "vitest";
import { dataKeyAad } from "../src/data-key-wrap.ts";
import type { Vault } from "../src/index.ts";
import { recordAad } from "../src/names.ts";
import { type OpenedContext, openContext } from "../src/open-context.ts";
import { renewRows } from "../src/renew-rows.ts";
import { isSound, withMac } from "../src/rows.ts";
import { edit, forge, type OpenedKeys, openKeys } from "./forge.ts";
import {
  bytes,
  expectCode,
  makeVault,
  newHome,
  PASSPHRASE,
  reopen,
  text,
  withPassphrase,
} from "./helpers.ts";
import { onStage } from "./on-stage.ts";
import { checkWhole } from "./rig/whole.ts";

// What somebody can do who has had the vault key of before, and still writes the files.

const kept = async (vault: Vault) =>
  (await vault.slots.list()).map(({ id }) => ({
    slotId: id,
    credential: { kind: "passphrase", passphrase: bytes(PASSPHRASE) } as const,
  }));

const filled = async (home: string): Promise<Vault> => {
  const vault = await makeVault(home);
  for (const name of ["a", "b", "c"]) await vault.secrets.set(name, bytes(`old ${name}`));
  await vault.secrets.set("a", bytes("value of a"));
  return vault;
};

const compromised = async (vault: Vault): Promise<Vault> =>
  (await vault.rekey({ credentials: await kept(vault), compromised: true })).vault;

/** The thief's key: of now before the vault key is changed, and the former one after it. */
const thief = ({ keys }: OpenedKeys) => ({ current: keys.rows.former ?? keys.rows.current });

const secretRow = async (reads: Pick<StoreReads, "secrets">, name: string): Promise<SecretRow> =>
  (await reads.secrets.describe("secrets", name)) as SecretRow;

/** Points a secret to its first version, with a sound MAC. */
const pointBack = async (home: string, name: string): Promise<void> => {
  const row = { ...(await rowOf(home, name)), currentVersion: 1 };
  putBack(home, withMac(thief(await openKeys(home)), "secrets", row));
};

const rowOf = async (home: string, name: string): Promise<SecretRow> => {
  await using store = await openStore({ file: join(home, "lango.db"), mode: "read" });
  return secretRow(store, name);
};

const putBack = (home: string, { name, currentVersion, updatedAt, mac }: SecretRow): void =>
  edit(
    home,
    `UPDATE secrets SET current_version = ${currentVersion}, updated_at = ${updatedAt}, mac = x'${toHex(mac)}' WHERE name = '${name}'`,
  );

/** Disables a key, with a sound MAC. */
const disable = (home: string, name: string): Promise<void> =>
  forge(home, async (tx, opened) => {
    const row = (await tx.keys.list()).find((key) => key.name === name)!;
    await tx.keys.update(withMac(thief(opened), "keys", { ...row, state: "disabled" }), row.mac);
  });

/** Puts another value in the place of the current one, sealed with the data key. */
const replaceValue = async (home: string, name: string, value: string): Promise<void> => {
  const { keys, vaultId } = await openKeys(home);
  await using store = await openStore({ file: join(home, "lango.db"), mode: "read" });
  const row = await secretRow(store, name);
  const { dataKeyId } = (await store.secrets.findVersion(row.id, row.currentVersion))!;
  const { wrapped } = (await store.dataKeys.find(dataKeyId))!;
  const material = openValue(keys.wrap, wrapped, dataKeyAad(vaultId, dataKeyId));
  const dataKey = createDataKey(material, Buffer.from(dataKeyId, "hex"));
  zero(material);
  const aad = recordAad(vaultId, "secrets", name, row.currentVersion);
  const sealed = toHex(sealValue(dataKey, bytes(value), aad));
  const place = `secret_id = '${row.id}' AND version = ${row.currentVersion}`;
  edit(home, `UPDATE secret_versions SET sealed = x'${sealed}' WHERE ${place}`);
};

const logged = async (vault: Vault, action: string) =>
  (await vault.audit.tail(200)).filter((event) => event.action === action);

test("rows and values that were forged end the change of all keys before it begins; the owner may take them", async () => {
  const home = newHome();
  const vault = await filled(home);
  await pointBack(home, "a");
  await replaceValue(home, "b", "forged");
  expect(text((await vault.secrets.get("b")).value)).toBe("forged");
  const before = readFileSync(join(home, "keyslots.json"));
  const error = await expectCode(() => compromised(vault), "ERR_INTEGRITY");
  expect(error.message).toContain("secrets/a of table secrets is not as");
  expect(error.message).toContain("secrets/b@1 of table secret_versions is not as");
  expect(error.context["hint"]).toContain("--accept-faults");
  expect(readFileSync(join(home, "keyslots.json"))).toEqual(before);
  expect(await logged(vault, "vault.rekey")).toMatchObject([
    { outcome: "failure", code: "ERR_INTEGRITY" },
  ]);
  const credentials = await kept(vault);
  const given = { credentials, compromised: true, acceptFaults: true };
  const { vault: next } = await vault.rekey(given);
  const [accepted] = (await logged(next, "vault.rekey")).slice(1);
  expect(accepted?.detail).toContain("accepted: Row secrets/a of table secrets is not as");
});

test("values that were forged after the vault key was changed are not sealed again", async () => {
  const home = newHome();
  const vault = await compromised(await filled(home));
  const stop = new AbortController();
  onStage("rotate:begun", () => stop.abort(new Error("stop")));
  await expect(vault.rotation.start({ signal: stop.signal })).rejects.toThrow("stop");
  await replaceValue(home, "b", "forged");
  const error = await expectCode(() => vault.rotation.resume(), "ERR_INTEGRITY");
  expect(error.message).toContain("secrets/b@1 of table secret_versions is not as");
  await vault.secrets.set("b", bytes("set again"));
  // The forged one is still there, as the version before.
  await expectCode(() => vault.rotation.resume(), "ERR_INTEGRITY");
  await vault.secrets.delete("b");
  await vault.rotation.resume();
  await vault.renewRows();
  await checkWhole(vault, home);
});

test("values that were forged between the new vault key and the new data keys are not sealed again", async () => {
  const home = newHome();
  const vault = await compromised(await filled(home));
  await replaceValue(home, "b", "forged");
  await expectCode(() => vault.rotation.start(), "ERR_INTEGRITY");
  expect(await vault.rotation.status()).toBeUndefined();
  expect(await vault.rotation.start({ acceptFaults: true })).toMatchObject({ resealed: 4 });
  expect(text((await vault.secrets.get("b")).value)).toBe("forged");
});

test("a row that was forged with the former key gets no new MAC, and all others do", async () => {
  const home = newHome();
  const vault = await compromised(await filled(home));
  await pointBack(home, "a");
  await vault.keys.create({ name: "other", type: "encryption", algorithm: "aes-256-gcm" });
  await disable(home, "other");
  const error = await expectCode(() => vault.renewRows(), "ERR_INTEGRITY");
  expect(error.message).toContain("row secrets/a of table secrets");
  expect(error.message).toMatch(/row [0-9a-f]+ of table keys/);
  expect(error.message).not.toContain("secrets/b");
  expect(await logged(vault, "vault.renew-rows")).toContainEqual(
    expect.objectContaining({ outcome: "failure", code: "ERR_INTEGRITY" }),
  );
  expect(await vault.status()).toMatchObject({ renewing: true });
  const { keys } = await openKeys(home);
  await using store = await openStore({ file: join(home, "lango.db"), mode: "read" });
  const isRenewed = async (name: string): Promise<boolean> =>
    isSound({ current: keys.rows.current }, "secrets", await secretRow(store, name));
  expect([await isRenewed("a"), await isRenewed("b"), await isRenewed("c")]).toEqual([
    ...[false, true, true],
  ]);

  // What the owner writes is under the new key, and in the log.
  await vault.secrets.delete("a");
  await vault.secrets.set("a", bytes("set again"));
  const later = await expectCode(() => vault.renewRows(), "ERR_INTEGRITY");
  expect(later.message).not.toContain("secrets/a");
  await vault.renewRows({ acceptFaults: true });
  expect(await logged(vault, "vault.renew-rows")).toContainEqual(
    expect.objectContaining({ detail: "rows are not compared with the log" }),
  );
  expect(await vault.status()).toMatchObject({ renewing: false });
  await checkWhole(vault, home);
});

test("a row from before that is put back while rows are written anew gets no new MAC", async () => {
  const home = newHome();
  const vault = await filled(home);
  const before = await rowOf(home, "a");
  const next = await compromised(vault);
  let written = false;
  onStage("renew:steering", () => {
    if (written) return;
    written = true;
    putBack(home, before);
  });
  await next.secrets.set("a", bytes("newest"));
  const error = await expectCode(() => next.renewRows(), "ERR_INTEGRITY");
  expect(error.message).toContain("row secrets/a of table secrets");
});

test("a log that was edited vouches for nothing", async () => {
  const home = newHome();
  const vault = await compromised(await filled(home));
  edit(
    home,
    "UPDATE audit_log SET entry = replace(entry, 'secret.set', 'secret.sat') WHERE seq = 4",
  );
  const error = await expectCode(() => vault.renewRows(), "ERR_INTEGRITY");
  expect(error.message).toContain("The log is not sound");
  expect(await vault.status()).toMatchObject({ renewing: true });
});

test("a server that opened the vault while rows were written anew takes none under the former key after that", async () => {
  const home = newHome();
  const old = await filled(home);
  const vault = await compromised(old);
  const server = await reopen(home);
  const before = await rowOf(home, "b");
  // This one it has checked, and may remember.
  expect(text((await server.secrets.get("b")).value)).toBe("old b");
  const opened = await openKeys(home);
  await vault.renewRows();
  expect(text((await server.secrets.get("c")).value)).toBe("old c");
  putBack(home, before);
  await expectCode(() => server.secrets.get("b"), "ERR_INTEGRITY");
  const row = await rowOf(home, "a");
  const mac = withMac({ current: opened.keys.rows.former! }, "secrets", row).mac;
  putBack(home, { ...row, mac });
  await expectCode(() => server.secrets.get("a"), "ERR_INTEGRITY");
  await expectCode(() => vault.secrets.get("a"), "ERR_INTEGRITY");
});

/** The vault as another process has it, between two of whose steps something happens. */
const another = async (home: string): Promise<OpenedContext> => {
  const opened = await openContext({ home, unlock: withPassphrase() });
  onTestFinished(opened.discard);
  return opened;
};

test("a forged row that its owner replaces at that moment is not held against it", async () => {
  const home = newHome();
  const vault = await compromised(await filled(home));
  await pointBack(home, "a");
  await expectCode(() => vault.renewRows(), "ERR_INTEGRITY");
  const { context, ...opened } = await another(home);
  const { store } = context;
  const walk: typeof store.secrets.walk = async (...place) => {
    const page = await store.secrets.walk(...place);
    if (place[0] === undefined) await vault.secrets.delete("a").catch(() => undefined);
    return page;
  };
  const raced = { ...context, store: { ...store, secrets: { ...store.secrets, walk } } };
  expect(await renewRows({ ...opened, context: raced })).toEqual({ rows: 0 });
  await checkWhole(vault, home);
});

test("a secret's row from before that is put back at that moment gets no new MAC", async () => {
  const home = newHome();
  const vault = await compromised(await filled(home));
  const before = await rowOf(home, "a");
  const { context, ...opened } = await another(home);
  const { store } = context;
  let done = false;
  const walk: typeof store.secrets.walk = async (...place) => {
    if (!done) {
      done = true;
      await vault.secrets.set("a", bytes("newest"));
      putBack(home, before);
    }
    return store.secrets.walk(...place);
  };
  const raced = { ...context, store: { ...store, secrets: { ...store.secrets, walk } } };
  const error = await expectCode(() => renewRows({ ...opened, context: raced }), "ERR_INTEGRITY");
  expect(error.message).toContain("row secrets/a of table secrets");
});

test("a key's row from before that is put back at that moment gets no new MAC", async () => {
  const home = newHome();
  const vault = await compromised(await filled(home));
  const { context, ...opened } = await another(home);
  const { store } = context;
  const [before] = await store.keys.list();
  let done = false;
  const transaction: typeof store.transaction = async (...work) => {
    if (!done) {
      done = true;
      await vault.keys.rotate("default");
      const { id, keyVersion, mac } = before!;
      const row = `key_version = '${keyVersion}', mac = x'${toHex(mac)}'`;
      edit(home, `UPDATE keys SET ${row} WHERE id = '${id}'`);
    }
    return store.transaction(...work);
  };
  const raced = { ...context, store: { ...store, transaction } };
  const error = await expectCode(() => renewRows({ ...opened, context: raced }), "ERR_INTEGRITY");
  expect(error.message).toContain(`row ${before!.id} of table keys`);
});
