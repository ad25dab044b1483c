import { createHash } from "node:crypto";
import { join } from "node:path";
import { fromHex } from "@lango/crypto-core";
import { openStore, type StoreReads } from "@lango/store";
import { describe, expect, test } from "vitest";
import { verifyChain } from "../src/audit/verify.ts";
import { readVault } from "../src/index.ts";
import { homePaths } from "../src/keyslots-file.ts";
import { bytes, expectCode, makeVault, newHome, reopen } from "./helpers.ts";
import { Sqlite } from "./sqlite.ts";

describe("what is logged", () => {
  test("each operation, with who, when and what, and no value", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("a", bytes("s3cr3t-value"));
    await vault.secrets.get("a");
    await vault.secrets.rollback("a", 1);
    await vault.secrets.delete("a");
    await expectCode(() => vault.secrets.get("a"), "ERR_NOT_FOUND");
    await vault.keys.create({ name: "k", type: "signing" });
    const events = await vault.audit.tail();
    expect(events.map(({ action, target, outcome }) => [action, target, outcome])).toEqual([
      ["vault.create", vault.id, "success"],
      ["slots.commit", "generation 1", "success"],
      ["secret.set", "a", "success"],
      ["secret.get", "a", "success"],
      ["secret.rollback", "a", "success"],
      ["secret.delete", "a", "success"],
      ["secret.get", undefined, "failure"],
      ["key.create", "local:k", "success"],
    ]);
    for (const { actor, ts, authenticated } of events) {
      expect(actor).toEqual({
        kind: "owner",
        pid: process.pid,
        uid: process.getuid?.(),
        source: "onboard",
      });
      expect(Math.abs(Date.now() - ts)).toBeLessThan(60_000);
      expect(authenticated).toBe(true);
    }
    expect(events[6]).toMatchObject({ code: "ERR_NOT_FOUND" });
    expect(JSON.stringify(events)).not.toContain("s3cr3t");
    await vault.close();
    const again = await reopen(home);
    expect((await again.audit.tail(1))[0]).toMatchObject({
      action: "vault.unlock",
      target: "passphrase",
      actor: { source: "test" },
    });
  });

  test("reads of one tick share a row, reads one by one have a row each", async () => {
    const vault = await makeVault(newHome());
    await vault.secrets.set("a", bytes("v"));
    const before = (await vault.audit.verify()).rows;
    await Promise.all(Array.from({ length: 50 }, () => vault.secrets.get("a")));
    const shared = (await vault.audit.verify()).rows - before;
    expect(shared).toBeLessThanOrEqual(2);
    const events = await vault.audit.tail(50);
    expect(events.every(({ action, target }) => action === "secret.get" && target === "a")).toBe(
      true,
    );
    for (let i = 0; i < 3; i += 1) await vault.secrets.get("a");
    expect((await vault.audit.verify()).rows - before - shared).toBe(3);
    expect((await vault.secrets.list())[0]?.uses).toBe(53);
  });

  test("600 reads at once fit into rows of at most 256", async () => {
    const vault = await makeVault(newHome());
    await vault.secrets.set("a", bytes("v"));
    await Promise.all(Array.from({ length: 600 }, () => vault.secrets.get("a")));
    expect(
      (await vault.audit.tail(1000)).filter(({ action }) => action === "secret.get"),
    ).toHaveLength(600);
    expect(await vault.audit.verify()).toMatchObject({ ok: true });
  });

  test("events of other parts; bad ones are refused", async () => {
    const vault = await makeVault(newHome());
    const { seq } = await vault.audit.append({
      action: "approval.grant",
      target: "a",
      audience: "agent",
      detail: "one hour",
    });
    expect(await vault.audit.tail(1)).toEqual([
      expect.objectContaining({ seq, action: "approval.grant", detail: "one hour" }),
    ]);
    expect(await vault.audit.read(seq)).toEqual(
      expect.objectContaining({ seq, action: "approval.grant", detail: "one hour" }),
    );
    for (const none of [0, -1, 1.5, seq + 1000]) {
      expect(await vault.audit.read(none)).toBeUndefined();
    }
    for (const event of [
      { action: "" },
      { action: "Has Space" },
      { action: "a", target: "x".repeat(2000) },
      { action: "a", detail: "\ud800" },
      { action: "a", outcome: "maybe" },
      { action: "a", audience: "root" },
      { action: "a", code: "ERR_NOPE" },
    ]) {
      await expectCode(() => vault.audit.append(event as never), "ERR_INVALID_ARGUMENT");
    }
    for (const count of [0, 1001, 1.5, Number.NaN]) {
      await expectCode(() => vault.audit.tail(count), "ERR_INVALID_ARGUMENT");
    }
  });
});

test("a row that was edited, and made to fit by whoever has no key, is not read", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  const { seq } = await vault.audit.append({ action: "provider.configure", detail: "one" });
  const database = new Sqlite(join(home, "lango.db"), {});
  const row = database.prepare("SELECT * FROM audit_log WHERE seq = ?").get(seq) as {
    prev: Buffer;
    entry: string;
  };
  const entry = row.entry.replace('"one"', '"two"');
  const hash = createHash("sha256").update(row.prev).update(entry).digest();
  const edit = database.prepare("UPDATE audit_log SET entry = ?, hash = ? WHERE seq = ?");
  edit.run(entry, hash, seq);
  expect(await vault.audit.read(seq)).toBeUndefined();
  database.prepare("UPDATE audit_log SET entry = ? WHERE seq = ?").run(row.entry, seq);
  expect(await vault.audit.read(seq)).toBeUndefined();
  database.close();
});

test("what callers cannot tell apart, the log does", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("v"));
  await vault.secrets.set("b", bytes("w"));
  const provider = vault.keys.provider();
  const { ciphertext } = await provider.encrypt({ keyId: "default", plaintext: bytes("x") });
  await vault.close();
  const byteOf = (row: string, offset: number): string =>
    `UPDATE secret_versions SET sealed = CAST(substr(sealed, 1, ${offset}) || x'${"5a".repeat(4)}' || substr(sealed, ${offset + 5}) AS BLOB) WHERE secret_id = (SELECT id FROM secrets WHERE name = '${row}')`;
  const database = new Sqlite(join(home, "lango.db"), {});
  database.exec(byteOf("a", 64));
  database.exec(byteOf("b", 24));
  const opened = await reopen(home);
  const messages = new Set<string>();
  const failAt = async (call: () => Promise<unknown>): Promise<string | undefined> => {
    messages.add((await expectCode(call, "ERR_DECRYPTION_FAILED")).message);
    return (await opened.audit.tail(1))[0]?.detail;
  };
  expect(await failAt(() => opened.secrets.get("a"))).toBe("The tag does not fit");
  expect(await failAt(() => opened.secrets.get("b"))).toContain("commitment");
  const local = opened.keys.provider();
  const altered = (offset: number): Uint8Array => ciphertext.with(offset, 9);
  expect(await failAt(() => local.decrypt({ keyId: "default", ciphertext: altered(4) }))).toBe(
    "It names no version of the key",
  );
  expect(
    await failAt(() => local.decrypt({ keyId: "default", ciphertext: ciphertext.slice(0, 8) })),
  ).toBeDefined();
  await opened.close();
  database.exec("pragma foreign_keys = off; DELETE FROM data_keys");
  database.close();
  const again = await reopen(home);
  messages.add((await expectCode(() => again.secrets.get("a"), "ERR_DECRYPTION_FAILED")).message);
  expect((await again.audit.tail(1))[0]?.detail).toBe("There is no such data key");
  expect(messages.size).toBe(1);
});

test("links and row hashes can be checked without the key", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("v"));
  await vault.close();
  await using locked = await readVault({ home });
  const report = await locked.audit.verifyLinks({ rows: true });
  expect(report).toMatchObject({ ok: true, faults: [], rows: 3, unanchored: 3 });
  expect(report.head).toMatch(/^[0-9a-f]{64}$/);
  expect((await locked.audit.tail()).at(-1)).toMatchObject({ action: "secret.set" });
});

test("a row that changes at each look is named, not passed over", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("v"));
  await using store = await openStore({ file: join(home, "lango.db"), mode: "read" });
  const { describe: look, list } = store.secrets;
  const change = () => vault.secrets.set("a", bytes("v"));
  const restless: StoreReads = {
    ...store,
    secrets: {
      ...store.secrets,
      list: async (page) => {
        await change();
        return list(page);
      },
      describe: async (collection, name) => {
        await change();
        return look(collection, name);
      },
    },
  };
  const { ok, faults } = await verifyChain({
    ...{ store: restless, paths: homePaths(home), rows: true },
    vaultId: fromHex(vault.id) ?? new Uint8Array(),
  });
  expect(ok).toBe(false);
  expect(faults.map(({ problem }) => problem)).toContain(
    "Row secrets/a of table secrets could not be judged: it changed at each of 50 looks",
  );
});

test("verify with rows holds while others write", async () => {
  const vault = await makeVault(newHome());
  let done = false;
  const writer = (async () => {
    for (let i = 0; !done; i += 1) await vault.secrets.set(`s${i % 30}`, bytes(`v${i}`));
  })();
  for (let i = 0; i < 15; i += 1) {
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
  }
  done = true;
  await writer;
});
