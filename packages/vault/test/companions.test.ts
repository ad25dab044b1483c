import { hkdfSync, randomBytes } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createAesKey, openAesGcm } from "@lango/crypto-core";
import { deriveVaultKeys, parts } from "@lango/envelope";
import { openStore } from "@lango/store";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createAuditLog } from "../src/audit/log.ts";
import { createCompanionResults } from "../src/companion-results.ts";
import { createGate } from "../src/gate.ts";
import { acceptRollback, readVault, type Vault } from "../src/index.ts";
import { bytes, expectCode, makeVault, newHome, reopen, text, withPassphrase } from "./helpers.ts";
import { Sqlite } from "./sqlite.ts";

const device = (changes: object = {}) => ({
  id: randomBytes(16).toString("base64url"),
  name: "Phone",
  role: "companion" as const,
  fingerprint: randomBytes(32).toString("base64url"),
  ...changes,
});

/** Runs a statement as a writer would who has the database, and no key. */
const edit = (home: string, statement: string): void => {
  const database = new Sqlite(join(home, "lango.db"), {});
  expect(database.prepare(statement).run().changes).toBeGreaterThan(0);
  database.close();
};

const faults = async (vault: Vault): Promise<string> =>
  (await vault.audit.verify({ rows: true })).faults.map(({ problem }) => problem).join("\n");

test("a device is paired, found, renamed, rolled over and revoked, each with its row in the log", async () => {
  const home = newHome();
  const vault = await makeVault(home, undefined, { clock: () => 1_700_000_000_000 });
  const phone = device();
  const { companions } = vault;
  const kept = await companions.add(phone);
  expect(kept).toEqual({ ...phone, state: "active", pairedAt: 1_700_000_000_000 });
  expect(await companions.find(phone.fingerprint)).toEqual(kept);
  expect(await companions.find("x".repeat(43))).toBeUndefined();
  expect(await companions.rename(phone.id, "Ärmel’s phone")).toMatchObject({
    name: "Ärmel’s phone",
  });
  const next = randomBytes(32).toString("base64url");
  await companions.replacePin(phone.id, next);
  expect(await companions.find(phone.fingerprint)).toBeUndefined();
  expect(await companions.find(next)).toMatchObject({ id: phone.id, fingerprint: next });
  await companions.revoke(phone.id);
  expect(await companions.find(next)).toBeUndefined();
  expect(await companions.list()).toEqual([]);
  const log = (await vault.audit.tail(4)).map(({ action, target, detail }) => [
    action,
    target,
    detail,
  ]);
  expect(log).toEqual([
    ["companion.pair", phone.id, `companion Phone ${phone.fingerprint}`],
    ["companion.rename", phone.id, "Ärmel’s phone"],
    ["companion.rollover", phone.id, next],
    ["companion.revoke", phone.id, "Ärmel’s phone"],
  ]);
  expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
});

test("a second process sees a change at once, and the list needs no key", async () => {
  const home = newHome();
  const [first, phone] = [await makeVault(home), device()];
  const second = await reopen(home);
  await first.companions.add(phone);
  expect(await second.companions.find(phone.fingerprint)).toMatchObject({ id: phone.id });
  const locked = await readVault({ home });
  expect(await locked.companions.list()).toMatchObject([phone]);
  await second.companions.revoke(phone.id);
  expect(await first.companions.find(phone.fingerprint)).toBeUndefined();
  expect(await locked.companions.list()).toEqual([]);
  await locked.close();
});

test("a device that is paired again takes the place of its old row", async () => {
  const vault = await makeVault(newHome());
  const first = device();
  await vault.companions.add(first);
  const again = device({ fingerprint: first.fingerprint, name: "New" });
  await vault.companions.add(again);
  expect(await vault.companions.list()).toMatchObject([again]);
  await expectCode(() => vault.companions.rename(first.id, "x"), "ERR_NOT_FOUND");
  expect(await faults(vault)).toBe("");
});

test("conflicts and arguments", async () => {
  const vault = await makeVault(newHome());
  const [one, two] = [device(), device()];
  await vault.companions.add(one);
  await vault.companions.add(two);
  await expectCode(() => vault.companions.add(device({ id: one.id })), "ERR_CONFLICT");
  await expectCode(() => vault.companions.replacePin(one.id, two.fingerprint), "ERR_CONFLICT");
  for (const wrong of [
    { id: "short" },
    { id: `${one.id.slice(1)}/` },
    { name: "" },
    { name: "a\u001b[31mb" },
    { name: "a\u202eb" },
    { name: "x".repeat(65) },
    { role: "owner" },
    { fingerprint: "x" },
  ]) {
    await expectCode(() => vault.companions.add(device(wrong)), "ERR_INVALID_ARGUMENT");
  }
  const noPin = () => vault.companions.replacePin(one.id, "x");
  await expectCode(noPin, "ERR_INVALID_ARGUMENT");
  for (const run of [
    () => vault.companions.rename(device().id, "x"),
    () => vault.companions.revoke(device().id),
    () => vault.companions.confirm(device().id),
    () => vault.companions.replacePin(device().id, device().fingerprint),
  ]) {
    await expectCode(run, "ERR_NOT_FOUND");
  }
});

describe("edited outside lango", () => {
  test.for([
    ["name = 'Mine'"],
    ["role = 'agent'"],
    [`fingerprint = '${"A".repeat(43)}'`],
    ["state = 'suspended'"],
    ["paired_at = 1"],
    ["mac = zeroblob(32)"],
    [`id = '${"A".repeat(22)}'`],
  ] as const)(
    "%s is found at the next look, and a damaged pin can be revoked",
    async ([change]) => {
      const home = newHome();
      const [vault, phone] = [await makeVault(home), device()];
      await vault.companions.add(phone);
      edit(home, `UPDATE companions SET ${change}`);
      const fingerprint = change.startsWith("fingerprint") ? "A".repeat(43) : phone.fingerprint;
      const id = change.startsWith("id") ? "A".repeat(22) : phone.id;
      await expectCode(() => vault.companions.find(fingerprint), "ERR_INTEGRITY");
      await expectCode(() => vault.companions.list(), "ERR_INTEGRITY");
      await expectCode(() => vault.companions.rename(id, "x"), "ERR_INTEGRITY");
      expect(await faults(vault)).toMatch(/companions/);
      await vault.companions.revoke(id);
      expect(await vault.companions.find(fingerprint)).toBeUndefined();
    },
  );

  test("a removed row, and a revoked one that was put back", async () => {
    const home = newHome();
    const [vault, phone, other] = [await makeVault(home), device(), device()];
    await vault.companions.add(phone);
    await vault.companions.add(other);
    const database = new Sqlite(join(home, "lango.db"), {});
    database.exec("CREATE TABLE aside AS SELECT * FROM companions");
    database.close();
    await vault.companions.revoke(phone.id);
    edit(home, `INSERT INTO companions SELECT * FROM aside WHERE id = '${phone.id}'`);
    expect(await faults(vault)).toBe(`Row ${phone.id} of table companions is not in the log`);
    await vault.companions.revoke(phone.id);
    edit(home, `DELETE FROM companions WHERE id = '${other.id}'`);
    expect(await faults(vault)).toMatch(new RegExp(`Row ${other.id} of table companions is gone`));
  });
});

/** A home whose database is of before a change of its slots, and the device in it. */
const olderDatabase = async () => {
  const home = newHome();
  const [vault, phone] = [await makeVault(home), device()];
  await vault.companions.add(phone);
  await vault.close();
  const file = join(home, "lango.db");
  copyFileSync(file, `${file}.old`);
  const later = await reopen(home);
  await later.slots.changePassphrase({
    oldPassphrase: bytes("correct horse battery"),
    newPassphrase: bytes("another battery staple"),
    kdf: { name: "pbkdf2-sha256", iterations: 1000, salt: new Uint8Array(16) },
    acceptWeakKdf: true,
  });
  await later.companions.revoke(phone.id);
  await later.close();
  for (const suffix of ["-wal", "-shm"]) rmSync(file + suffix, { force: true });
  copyFileSync(`${file}.old`, file);
  expect(existsSync(file)).toBe(true);
  return { home, phone };
};

test("an older database whose pins were edited as well is not taken into use", async () => {
  const { home } = await olderDatabase();
  edit(home, `UPDATE companions SET fingerprint = '${"A".repeat(43)}'`);
  const accepting = () =>
    acceptRollback({ home, unlock: withPassphrase("another battery staple") });
  await expectCode(accepting, "ERR_INTEGRITY");
});

test("an older database that is taken into use suspends its devices until they are confirmed", async () => {
  const { home, phone } = await olderDatabase();
  await acceptRollback({ home, unlock: withPassphrase("another battery staple") });
  const restored = await reopen(home, { passphrase: "another battery staple" });
  expect(await restored.companions.find(phone.fingerprint)).toMatchObject({ state: "suspended" });
  const pin = device().fingerprint;
  await expectCode(() => restored.companions.replacePin(phone.id, pin), "ERR_ACCESS_DENIED");
  expect(await faults(restored)).toBe("");
  expect(await restored.companions.confirm(phone.id)).toMatchObject({ state: "active" });
  expect(await restored.companions.find(phone.fingerprint)).toMatchObject({ state: "active" });
});

describe("results", () => {
  const HASH = new Uint8Array(32).fill(7);

  test("one that cannot be written is no answer", async () => {
    const home = newHome();
    const { results } = (await makeVault(home)).companions;
    await results.put("peer", "a", HASH, bytes("signature"));
    const database = new Sqlite(join(home, "lango.db"), {});
    database.exec("DROP TABLE companion_results");
    database.close();
    await expect(results.put("peer", "b", HASH, bytes("signature"))).rejects.toThrow();
  });

  test("one for each request of a device; the first one stays", async () => {
    const home = newHome();
    const { results } = (await makeVault(home)).companions;
    expect(await results.find("peer", "id")).toBeUndefined();
    await results.put("peer", "id", HASH, bytes("signature"));
    await expectCode(() => results.put("peer", "id", HASH, bytes("other")), "ERR_CONFLICT");
    await results.put("another", "id", HASH, bytes("of another"));
    const again = (await reopen(home)).companions.results;
    const found = await again.find("peer", "id");
    expect(found?.hash).toEqual(HASH);
    expect(text(found?.result ?? new Uint8Array())).toBe("signature");
    expect(text((await again.find("another", "id"))?.result ?? new Uint8Array())).toBe(
      "of another",
    );
  });

  test("of two at once with one id one is refused, and the others of their commit are kept", async () => {
    const { results } = (await makeVault(newHome())).companions;
    const all = ["a", "b", "a", "c"].map((id, index) =>
      results.put("peer", id, HASH, Uint8Array.of(index)),
    );
    const settled = await Promise.allSettled(all);
    expect(settled.map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "rejected",
      "fulfilled",
    ]);
    expect((await results.find("peer", "a"))?.result).toEqual(Uint8Array.of(0));
  });

  test("of two processes one answers", async () => {
    const home = newHome();
    const first = (await makeVault(home)).companions.results;
    const second = (await reopen(home)).companions.results;
    for (let round = 0; round < 10; round += 1) {
      const settled = await Promise.allSettled([
        first.put("peer", `${round}`, HASH, bytes("first")),
        second.put("peer", `${round}`, HASH, bytes("second")),
      ]);
      const won = settled.findIndex(({ status }) => status === "fulfilled");
      expect(settled[1 - won]).toMatchObject({ reason: { code: "ERR_CONFLICT" } });
      const found = await first.find("peer", `${round}`);
      expect(text(found?.result ?? HASH)).toBe(["first", "second"][won]);
    }
  });

  test("are sealed as docs/formats.md says", async () => {
    const folder = newHome();
    mkdirSync(folder, { mode: 0o700 });
    const file = join(folder, "lango.db");
    const [vaultKey, vaultId] = [new Uint8Array(32).fill(1), new Uint8Array(16).fill(2)];
    await using store = await openStore({ file, mode: "create" });
    const keys = deriveVaultKeys(vaultKey, vaultId);
    const auditKey = { key: keys.slotFile, epoch: 1, former: [] };
    const log = createAuditLog({ store, auditKey, clock: Date.now, source: "test" });
    const results = createCompanionResults(
      { store, keys, vaultId, clock: Date.now, log },
      createGate("x"),
    );
    await results.put("peer", "request", HASH, bytes("signature"));
    const rowsKey = hkdfSync("sha256", vaultKey, vaultId, "lango/v1/rows", 32);
    const info = parts(
      bytes("lango/v1/companion-result"),
      vaultId,
      bytes("peer"),
      bytes("request"),
    );
    const key = new Uint8Array(hkdfSync("sha256", new Uint8Array(rowsKey), "", info, 32));
    const sealed = (await store.companions.findResult("peer", "request"))?.sealed ?? HASH;
    const opened = openAesGcm(createAesKey(key), sealed.subarray(0, 12), HASH, sealed.subarray(12));
    expect(text(opened)).toBe("signature");
  });

  test("results come back as they were, for any ids and bytes", async () => {
    const { results } = (await makeVault(newHome())).companions;
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(fc.string({ unit: "grapheme", maxLength: 20 }), fc.uint8Array()), {
          selector: ([id]) => id,
          maxLength: 40,
        }),
        fc.uuid(),
        async (list, peer) => {
          await Promise.all(list.map(([id, result]) => results.put(peer, id, HASH, result)));
          for (const [id, result] of list) {
            expect((await results.find(peer, id))?.result).toEqual(new Uint8Array(result));
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  test("after 24 hours the next commit removes it", async () => {
    let now = 1_700_000_000_000;
    const home = newHome();
    await makeVault(home);
    const { results } = (await reopen(home, { clock: () => now })).companions;
    await results.put("peer", "old", HASH, bytes("x"));
    now += 86_400_000;
    await results.put("peer", "young", HASH, bytes("x"));
    expect(await results.find("peer", "old")).toBeDefined();
    now += 1;
    await results.put("peer", "new", HASH, bytes("x"));
    expect(await results.find("peer", "old")).toBeUndefined();
    expect(await results.find("peer", "young")).toBeDefined();
  });

  test.for([
    ["hash = zeroblob(32)"],
    ["sealed = zeroblob(40)"],
    ["sealed = x'00'"],
    ["peer_id = 'another'"],
    ["request_id = 'another'"],
  ] as const)("%s behind lango's back", async ([change]) => {
    const home = newHome();
    const { results } = (await makeVault(home)).companions;
    await results.put("peer", "id", HASH, bytes("signature of a wallet"));
    edit(home, `UPDATE companion_results SET ${change}`);
    const peer = change.startsWith("peer") ? "another" : "peer";
    const id = change.startsWith("request") ? "another" : "id";
    await expectCode(() => results.find(peer, id), "ERR_INTEGRITY");
  });

  test("sizes, and a closed vault", async () => {
    const vault = await makeVault(newHome());
    const { results } = vault.companions;
    const long = "x".repeat(257);
    await expectCode(() => results.put(long, "id", HASH, HASH), "ERR_INVALID_ARGUMENT");
    await expectCode(() => results.put("p", long, HASH, HASH), "ERR_INVALID_ARGUMENT");
    const large = new Uint8Array(1024 * 1024 + 1);
    await expectCode(() => results.put("p", "id", HASH, large), "ERR_INVALID_ARGUMENT");
    const last = results.put("p", "last", HASH, HASH);
    await vault.close();
    await last;
    await expectCode(() => results.put("p", "id", HASH, HASH), "ERR_CLOSED");
    await expectCode(() => vault.companions.list(), "ERR_CLOSED");
  });
});
