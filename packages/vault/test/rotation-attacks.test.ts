import { join } from "node:path";
import { toHex } from "@lango/crypto-core";
import { expect, onTestFinished, test } from "vitest";
import { createDataKeyList } from "../src/data-key-list.ts";
import { createGate } from "../src/gate.ts";
import { createKeyRegistry } from "../src/key-registry.ts";
import { openContext } from "../src/open-context.ts";
import { retireDataKey } from "../src/retire.ts";
import { newRotationJob } from "../src/rotation-job.ts";
import type { RotationProgress } from "../src/rotation-types.ts";
import { withMac } from "../src/rows.ts";
import { edit, forge, openKeys } from "./forge.ts";
import { bytes, expectCode, makeVault, newHome, reopen, text, withPassphrase } from "./helpers.ts";
import { onStage } from "./on-stage.ts";
import { remote } from "./rig/remote.ts";
import { Sqlite } from "./sqlite.ts";

interface Row {
  readonly id: string;
  readonly state: string;
  readonly mac: string;
  readonly wrapped: string;
}

const dataKeys = (home: string): Row[] => {
  const database = new Sqlite(join(home, "lango.db"), { timeout: 5_000 });
  try {
    return database
      .prepare(
        "SELECT id, state, hex(mac) AS mac, hex(wrapped) AS wrapped FROM data_keys ORDER BY created_at, id",
      )
      .all() as Row[];
  } finally {
    database.close();
  }
};

const stopAt = (stage: string): AbortSignal => {
  const stop = new AbortController();
  onStage(stage, () => stop.abort(new Error("stop")));
  return stop.signal;
};

// Without this the job would seal the values again under the same data key, and again, for ever.
test("an old data key that was put back as the active one ends the rotation", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  const [old] = dataKeys(home);
  await expect(vault.rotation.start({ signal: stopAt("rotate:begun") })).rejects.toThrow("stop");
  await vault.close();
  edit(home, `DELETE FROM data_keys WHERE id <> '${old?.id}'`);
  edit(home, `UPDATE data_keys SET state = 'active', mac = x'${old?.mac}'`);
  const again = await reopen(home);
  const signal = AbortSignal.timeout(5_000);
  const error = await expectCode(() => again.rotation.resume({ signal }), "ERR_INTEGRITY");
  expect(error.message).toContain(`${old?.id}`);
  expect(text((await again.secrets.get("a")).value)).toBe("value");
  expect(dataKeys(home)).toMatchObject([{ id: old?.id, wrapped: old?.wrapped }]);
});

// The process that sealed has the new data key in memory: what is in the row counts, which others have to open.
test("a new data key whose row was altered stops the retiring", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  const [old] = dataKeys(home);
  onStage("rotate:resealed", () => {
    edit(home, "UPDATE data_keys SET wrapped = zeroblob(60) WHERE state = 'active'");
  });
  await expectCode(() => vault.rotation.start(), "ERR_INTEGRITY");
  expect(dataKeys(home).find(({ id }) => id === old?.id)).toMatchObject({
    state: "decrypt-only",
    wrapped: old?.wrapped,
  });
});

test("a data key that a rotation has just left is not retired before its check", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  const [old] = dataKeys(home);
  const { context, discard } = await openContext({ home, unlock: withPassphrase() });
  onTestFinished(discard);
  const { store } = context;
  // Another process begins, and has sealed everything again, just when this one has looked for a rotation.
  const find: typeof store.jobs.find = async (kind) => {
    const found = await store.jobs.find(kind);
    const started = vault.rotation.start({ signal: stopAt("rotate:resealed") });
    await expect(started).rejects.toThrow("stop");
    return found;
  };
  const raced = { ...context, store: { ...store, jobs: { ...store.jobs, find } } };
  const list = createDataKeyList(raced, createKeyRegistry(context), createGate("The vault"));
  expect((await list.retire()).retired).toEqual([]);
  expect(dataKeys(home).find(({ id }) => id === old?.id)).toMatchObject({
    state: "decrypt-only",
    wrapped: old?.wrapped,
  });
  expect(await vault.rotation.resume()).toMatchObject({ verified: 1, retired: [old?.id] });
});

test("a data key that passes for a retired one is found out before anything is changed", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  edit(home, "UPDATE data_keys SET state = 'retired'");
  const before = dataKeys(home);
  await expectCode(() => vault.rotation.start(), "ERR_INTEGRITY");
  expect(dataKeys(home)).toEqual(before);
  expect(await vault.rotation.status()).toBeUndefined();
});

/** A vault whose default key is at a service, with one secret, opened twice. */
const openedTwice = async () => {
  const home = newHome();
  const kms = remote();
  const providers = { "aws-kms": kms.provider };
  const defaultKey = { uri: "aws-kms:k1", provider: kms.provider };
  await (await makeVault(home, undefined, { defaultKey })).close();
  const vault = await reopen(home, { providers });
  await vault.secrets.set("a", bytes("value"));
  const other = await reopen(home, { providers });
  return { home, kms, vault, other };
};

test("a key that goes to another provider while its new data key is made gets one of that", async () => {
  const { kms, vault, other } = await openedTwice();
  const { wrapKey } = kms.provider;
  let moved = false;
  kms.provider.wrapKey = async (wrapping) => {
    const wrapped = await wrapKey!(wrapping);
    if (!moved) {
      moved = true;
      await other.providers.migrate({ to: "local:default" });
    }
    return wrapped;
  };
  expect(await vault.rotation.start()).toMatchObject({ resealed: 1 });
  expect((await vault.status()).dataKeys).toEqual([{ uri: "vault:wrap", count: 1, degraded: 0 }]);
  await other.secrets.set("b", bytes("later"));
  expect(text((await vault.secrets.get("a")).value)).toBe("value");
});

test("a data key that is altered while the new ones are made is not written anew", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  onStage("rotate:wrapped", () => edit(home, "UPDATE data_keys SET created_at = 1"));
  await expectCode(() => vault.rotation.start(), "ERR_INTEGRITY");
  expect(dataKeys(home)).toHaveLength(1);
  expect(await vault.rotation.status()).toBeUndefined();
});

test("a rotation that begins while another one makes its data keys is the only one", async () => {
  const { home, kms, vault, other } = await openedTwice();
  const { wrapKey } = kms.provider;
  const stop = new AbortController();
  const onProgress = (): void => stop.abort(new Error("stop"));
  kms.provider.wrapKey = async (wrapping) => {
    kms.provider.wrapKey = wrapKey!;
    const wrapped = await wrapKey!(wrapping);
    await expect(other.rotation.start({ signal: stop.signal, onProgress })).rejects.toThrow("stop");
    return wrapped;
  };
  const error = await expectCode(() => vault.rotation.start(), "ERR_CONFLICT");
  expect(error.message).toContain("has not ended");
  expect(dataKeys(home)).toHaveLength(2);
  expect(await other.rotation.resume()).toMatchObject({ verified: 1 });
});

test("a data key is destroyed once, and what is left of it is nobody's fallback", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  await vault.secrets.delete("a");
  await forge(home, async (tx, { keys }) => {
    const [row] = await tx.dataKeys.list();
    const next = { ...row!, state: "decrypt-only", degraded: true } as const;
    await tx.dataKeys.update(withMac(keys.rows, "data_keys", next), row!.mac);
  });
  const opened = await openContext({ home, unlock: withPassphrase() });
  const [before] = await opened.context.store.dataKeys.list();
  const { seq } = await opened.context.store.audit.head();
  expect(await retireDataKey(opened.context, before!.id)).toBe(true);
  expect(await retireDataKey(opened.context, before!.id)).toBe(true);
  const [after] = await opened.context.store.dataKeys.list();
  expect(after).toMatchObject({ state: "retired", degraded: false, wrapped: new Uint8Array() });
  expect((await opened.context.store.audit.head()).seq).toBe(seq + 1);
  await opened.discard();
});

const onFirst = (act: () => void): ((progress: RotationProgress) => void) => {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    act();
  };
};

test("an old data key that was given to a weaker key takes no value there", async () => {
  const home = newHome();
  const kms = remote();
  const providers = { "aws-kms": kms.provider };
  const defaultKey = { uri: "aws-kms:k1", provider: kms.provider };
  await (await makeVault(home, undefined, { defaultKey })).close();
  const vault = await reopen(home, { providers });
  await vault.secrets.set("a", bytes("value"));
  await vault.keys.create({ name: "own", type: "encryption" });
  const [old] = dataKeys(home);
  // The process has the data key in memory: no look at its row is needed to open with it.
  const onProgress = onFirst(() => {
    const own = "(SELECT id FROM keys WHERE name = 'own')";
    edit(home, `UPDATE data_keys SET key_id = ${own} WHERE id = '${old?.id}'`);
  });
  await expectCode(() => vault.rotation.start({ onProgress }), "ERR_INTEGRITY");
  expect(text((await vault.secrets.get("a")).value)).toBe("value");
  expect(dataKeys(home)).toHaveLength(2);
});

test("a row that names an old data key after the check stops the retiring", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  const [old] = dataKeys(home);
  onStage("rotate:verified", () => {
    edit(home, `UPDATE secret_versions SET data_key_id = '${old?.id}'`);
  });
  await expectCode(() => vault.rotation.start(), "ERR_INTEGRITY");
  expect(dataKeys(home)).toContainEqual(
    expect.objectContaining({ id: old?.id, state: "decrypt-only", wrapped: old?.wrapped }),
  );
  expect(await vault.rotation.status()).toMatchObject({ dataKeys: [old?.id] });
});

test("a data key that is gone while values need it ends the rotation", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  const [old] = dataKeys(home);
  const onProgress = onFirst(() => stop.abort(new Error("stop")));
  const stop = new AbortController();
  const { signal } = stop;
  await expect(vault.rotation.start({ signal, onProgress })).rejects.toThrow("stop");
  await vault.close();
  await forge(home, async (tx, { keys }) => {
    const row = (await tx.dataKeys.find(old?.id ?? ""))!;
    const gone = { ...row, state: "retired", wrapped: new Uint8Array() } as const;
    await tx.dataKeys.update(withMac(keys.rows, "data_keys", gone), row.mac);
  });
  const again = await reopen(home);
  const ending = again.rotation.resume({ signal: AbortSignal.timeout(5_000) });
  await expectCode(() => ending, "ERR_KEY_RETIRED");
});

test("the check leaves out no version where a page ends between two of one secret", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  for (let i = 0; i < 105; i += 1) await vault.secrets.set(`n/${i % 15}`, bytes(`value ${i}`));
  expect(await vault.rotation.start()).toMatchObject({ resealed: 105, verified: 105 });
});

test("a data key is not called destroyed because its row says so", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  const [old] = dataKeys(home);
  onStage("rotate:verified", () => {
    edit(home, `UPDATE data_keys SET state = 'retired' WHERE id = '${old?.id}'`);
  });
  await expectCode(() => vault.rotation.start(), "ERR_INTEGRITY");
  await expectCode(() => vault.dataKeys.list(), "ERR_INTEGRITY");
  await expectCode(() => vault.dataKeys.retire(), "ERR_INTEGRITY");
  expect(dataKeys(home).find(({ id }) => id === old?.id)).toMatchObject({ wrapped: old?.wrapped });
});

test("whoever asks, a data key whose values may be elsewhere is not destroyed", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  await vault.close();
  const id = "a".repeat(24);
  await forge(home, async (tx, { keys }) => {
    const [row] = await tx.dataKeys.list();
    const other = { ...row!, id, domain: "files", state: "decrypt-only" } as const;
    await tx.dataKeys.insert(withMac(keys.rows, "data_keys", other));
  });
  const { context, discard } = await openContext({ home, unlock: withPassphrase() });
  onTestFinished(discard);
  expect(await retireDataKey(context, id)).toBe(false);
});

test.each([
  ["content", "ERR_INTEGRITY"],
  ["another job", undefined],
])("a job that is no longer the same when a rotation ends stays: %s", async (what, code) => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value"));
  const { keys } = await openKeys(home);
  const other = newRotationJob(keys.rows, { startedAt: 7, dataKeys: [], total: 3 });
  const mac = code === undefined ? `, mac = x'${toHex(other.mac)}'` : "";
  onStage("rotate:retired", () =>
    edit(
      home,
      `UPDATE jobs SET content = '${other.content}', started_at = 7, updated_at = 7${mac}`,
    ),
  );
  const started = vault.rotation.start();
  if (code === undefined) await started;
  else await expectCode(started, code);
  const database = new Sqlite(join(home, "lango.db"), { readonly: true });
  expect(database.prepare("SELECT started_at FROM jobs").all(), what).toEqual([{ started_at: 7 }]);
  database.close();
});
