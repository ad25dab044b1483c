import { randomBytes } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openStore, type RawRow, type Store } from "@lango/store";
import { describe, expect, onTestFinished, test } from "vitest";
import { newDatabaseUrl } from "../../../tooling/vitest/postgres.ts";
import {
  type DatabaseWish,
  inspectHome,
  type MoveProgress,
  type MoveVaultOptions,
  moveVault,
  openVault,
  readVault,
  type StoreAddress,
  type Vault,
} from "../src/index.ts";
import { copyStore } from "../src/store-copy.ts";
import { bytes, expectCode, makeVault, newHome, reopen, text, withPassphrase } from "./helpers.ts";
import { BOX } from "./rig/work.ts";

const unlock = withPassphrase();

const move = (options: Partial<MoveVaultOptions> & Pick<MoveVaultOptions, "home" | "to">) =>
  moveVault({ unlock: withPassphrase(), switchOver: async () => undefined, ...options });

/** Something in every table. */
const fill = async (vault: Vault): Promise<void> => {
  for (const algorithm of ["hmac-sha256", "ecdsa-p256", "secp256k1", "ed25519"] as const) {
    await vault.keys.create({ name: algorithm, type: "signing", algorithm });
  }
  await vault.keys.create({ name: "second", type: "encryption" });
  await vault.keys.rotate("ecdsa-p256");
  for (let index = 0; index < 70; index += 1) {
    await vault.secrets.set(`s/${String(index)}`, bytes(`value ${index}`));
  }
  for (let version = 0; version < 4; version += 1) {
    await vault.secrets.set("versions", bytes(`version ${version}`), { key: "second" });
  }
  await vault.companions.add(PHONE);
  await vault.companions.results.put(PHONE.id, "request", new Uint8Array(32), bytes("answer"));
  await vault.approvals.policy.set(STRICT);
  await vault.approvals.handles.issue({ ...BOX, secret: "versions", uses: 2 });
  await vault.secrets.set("umlaut", new Uint8Array(300_000).fill(7));
  await vault.secrets.set("empty", new Uint8Array());
  await vault.secrets.set("gone", bytes("x"));
  await vault.secrets.delete("gone");
};

const PHONE = {
  id: randomBytes(16).toString("base64url"),
  name: "Ärmel’s phone",
  role: "companion",
  fingerprint: randomBytes(32).toString("base64url"),
} as const;
const STRICT = {
  enabled: true,
  approvalPolicy: "all",
  sensitiveTools: ["mail"],
  exemptTools: [],
} as const;

const checkFilled = async (vault: Vault): Promise<void> => {
  for (let index = 0; index < 70; index += 1) {
    expect(text((await vault.secrets.get(`s/${index}`)).value)).toBe(`value ${index}`);
  }
  for (let version = 0; version < 4; version += 1) {
    const { value } = await vault.secrets.get("versions", { version: version + 1 });
    expect(text(value)).toBe(`version ${version}`);
  }
  expect((await vault.secrets.get("umlaut")).value).toEqual(new Uint8Array(300_000).fill(7));
  expect((await vault.secrets.get("empty")).value).toEqual(new Uint8Array());
  await expectCode(vault.secrets.get("gone"), "ERR_NOT_FOUND");
  expect(await vault.companions.list()).toMatchObject([PHONE]);
  expect(await vault.approvals.policy.get()).toEqual(STRICT);
  const report = await vault.audit.verify({ rows: true });
  expect(report.faults).toEqual([]);
};

describe("a vault moves", () => {
  test("from files into PostgreSQL and back, with everything that it has", async () => {
    const home = newHome();
    const url = await newDatabaseUrl();
    const vault = await makeVault(home);
    await fill(vault);
    await checkFilled(vault);
    await vault.close();
    const seen: MoveProgress[] = [];
    let switched = 0;
    const there = await move({
      home,
      to: { url },
      onProgress: (progress) => seen.push(progress),
      switchOver: async () => {
        switched += 1;
        expect(await inspectHome(home, { url })).toBe("ready");
      },
    });
    expect(switched).toBe(1);
    expect(there.from).toContain("lango.db");
    expect(there.to).toMatch(/^postgres:\/\/lango@127/);
    expect(there.retiredDataKeys).toBe(2);
    expect(there.rows).toBeGreaterThan(200);
    expect(seen.filter(({ stage }) => stage === "copy").at(-1)?.done).toBe(there.rows);
    expect(seen.at(-1)).toEqual({ stage: "verify", done: there.rows, total: there.rows });
    expect(existsSync(`${home}/lango.db`)).toBe(false);
    expect(await inspectHome(home)).toBe("absent");
    const store = { url };
    const raw = await openStore({ url, mode: "read" });
    expect(await raw.copy.count("permits")).toBe(1);
    expect(await raw.copy.count("companion_results")).toBe(1);
    await raw.close();
    const moved = await reopen(home, { store });
    await checkFilled(moved);
    expect((await moved.secrets.set("gone", bytes("again"))).version).toBe(2);
    expect((await moved.secrets.delete("gone")) === undefined).toBe(true);
    const status = await moved.status();
    expect(status).toMatchObject({ slotFile: "settled", location: there.to, secretCount: 73 });
    await moved.close();
    const back = await move({ home, store, to: "home" });
    expect(back).toMatchObject({ from: there.to, setAside: [] });
    const here = await reopen(home);
    await checkFilled(here);
    await here.close();
    await expectCode(openVault({ home, store, unlock }), "ERR_CONFLICT");
    await expectCode(readVault({ home, store }), "ERR_CONFLICT");
    expect(await inspectHome(home, store)).toMatchObject({ damaged: { code: "ERR_CONFLICT" } });
    // What it left there may be overwritten by the vault that left it.
    await move({ home, to: store });
    await checkFilled(await reopen(home, { store }));
    expect(readdirSync(home).filter((name) => name.startsWith("lango.db.moved"))).toHaveLength(2);
  });

  test("and whoever has the old place open cannot write there", async () => {
    const home = newHome();
    const store: StoreAddress = { url: await newDatabaseUrl() };
    const vault = await makeVault(home);
    await vault.secrets.set("a", bytes("1"));
    const other = await reopen(home);
    await move({ home, to: store });
    await expectCode(vault.secrets.set("a", bytes("2")), "ERR_CONFLICT");
    await expectCode(other.secrets.get("a"), "ERR_CONFLICT");
    await expectCode(other.keys.create({ name: "k", type: "encryption" }), "ERR_CONFLICT");
    const moved = await reopen(home, { store });
    expect(text((await moved.secrets.get("a")).value)).toBe("1");
    await move({ home, store, to: "home" });
    const error = await expectCode(moved.secrets.set("a", bytes("3")), "ERR_CONFLICT");
    expect(error.message).toContain("lango.db");
  });

  test("while others wait: no write is lost", async () => {
    const home = newHome();
    const store: StoreAddress = { url: await newDatabaseUrl() };
    const vault = await makeVault(home);
    const confirmed: number[] = [];
    let isOver = false;
    const writing = (async () => {
      for (let step = 0; !isOver; step += 1) {
        try {
          await vault.secrets.set(`w/${step}`, bytes(`${step}`));
          confirmed.push(step);
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^ERR_(CONFLICT|BUSY)$/) });
          await sleep(5);
        }
      }
    })();
    await sleep(100);
    await move({ home, to: store });
    isOver = true;
    await writing;
    expect(confirmed.length).toBeGreaterThan(3);
    const moved = await reopen(home, { store });
    for (const step of confirmed) {
      expect(text((await moved.secrets.get(`w/${step}`)).value)).toBe(`${step}`);
    }
  });

  test("not into a database with another vault, nor to where it is", async () => {
    const [one, two] = [newHome(), newHome()];
    const store: StoreAddress = { url: await newDatabaseUrl() };
    const vault = await makeVault(one);
    await vault.secrets.set("a", bytes("1"));
    const other = await makeVault(two, undefined, { store });
    await other.secrets.set("b", bytes("2"));
    await expectCode(move({ home: one, to: store }), "ERR_CONFLICT");
    await expectCode(move({ home: one, to: "home" }), "ERR_CONFLICT");
    await expectCode(move({ home: two, store, to: store }), "ERR_CONFLICT");
    expect(text((await vault.secrets.get("a")).value)).toBe("1");
    expect(text((await other.secrets.get("b")).value)).toBe("2");
    expect(
      (await vault.audit.tail(3)).map(({ action, outcome }) => [action, outcome]),
    ).toContainEqual(["store.migrate", "failure"]);
  });

  test("not when it is called off: nothing has changed", async () => {
    const home = newHome();
    const store: StoreAddress = { url: await newDatabaseUrl() };
    const vault = await makeVault(home);
    await vault.secrets.set("a", bytes("1"));
    const stop = new AbortController();
    const reason = new Error("enough");
    const onProgress = ({ stage }: MoveProgress) => {
      if (stage === "verify") stop.abort(reason);
    };
    const call = move({ home, to: store, signal: stop.signal, onProgress });
    await expect(call).rejects.toBe(reason);
    expect(await inspectHome(home, store)).toBe("absent");
    await vault.secrets.set("a", bytes("2"));
    await move({ home, to: store });
    const moved = await reopen(home, { store });
    expect(text((await moved.secrets.get("a")).value)).toBe("2");
    onTestFinished(() => moved.close());
  });

  test("out of an encrypted file, and into one where that is wished for", async () => {
    const home = newHome();
    const store: StoreAddress = { url: await newDatabaseUrl() };
    const database = { enabled: true, cipherPageSize: 8192 };
    const vault = await makeVault(home, undefined, { database });
    await vault.secrets.set("a/name", bytes("1"));
    await vault.close();
    await expectCode(move({ home, to: store, database: { enabled: false } }), "ERR_CONFIG");
    await move({ home, to: store, database });
    const there = await reopen(home, { store, database });
    expect(text((await there.secrets.get("a/name")).value)).toBe("1");
    await there.close();
    await move({ home, store, to: "home", database });
    expect(readFileSync(`${home}/lango.db`).includes("a/name")).toBe(false);
    await expectCode(openVault({ home, unlock, database: { enabled: false } }), "ERR_CONFIG");
    const here = await reopen(home, { database });
    expect(await here.database.status()).toEqual({ encrypted: true, cipherPageSize: 8192 });
    expect(text((await here.secrets.get("a/name")).value)).toBe("1");
    expect((await here.audit.verify({ rows: true })).faults).toEqual([]);
    // Without the wish it is as any other file.
    await here.close();
    await move({ home, to: store });
    await move({ home, store, to: "home" });
    expect(readFileSync(`${home}/lango.db`).includes("a/name")).toBe(true);
  });

  test("and an encrypted file that it left is put aside also when that was interrupted", async () => {
    const home = newHome();
    const store: StoreAddress = { url: await newDatabaseUrl() };
    const database = { enabled: true };
    const vault = await makeVault(home, undefined, { database });
    await vault.secrets.set("a", bytes("1"));
    await vault.close();
    const { setAside } = await move({ home, to: store, database });
    // As a process leaves it that died between the setting and the names.
    const names = readdirSync(home).filter((name) => name.includes(".moved-"));
    expect(setAside).toHaveLength(3);
    for (const name of names)
      renameSync(join(home, name), join(home, name.replace(/\.moved-[^-]*Z/, "")));
    const again = await move({ home, store, to: store, database });
    expect(again).toMatchObject({ rows: 0, from: again.to });
    expect(again.setAside.map((name) => name.replace(/\.moved-.*/, ""))).toEqual([
      "keyslots.json",
      "keyslots.bak.json",
      "lango.db",
    ]);
    await expectCode(move({ home, store, to: store, database }), "ERR_CONFLICT");
    // And it is not in the way of the vault when that comes back.
    const aside = again.setAside.at(-1) ?? "";
    renameSync(join(home, aside), join(home, "lango.db"));
    await move({ home, store, to: "home", database });
    const here = await reopen(home, { database });
    expect(text((await here.secrets.get("a")).value)).toBe("1");
  });

  test("into no file that is not its own, and a half-filled one is made as it is wished for now", async () => {
    const home = newHome();
    const store: StoreAddress = { url: await newDatabaseUrl() };
    const vault = await makeVault(home, undefined, { store });
    await vault.secrets.set("a/name", bytes("1"));
    await vault.close();
    const file = `${home}/lango.db`;
    const stop = (database: DatabaseWish) => {
      const end = new AbortController();
      const onProgress = () => end.abort(new Error("enough"));
      return move({ home, store, to: "home", database, signal: end.signal, onProgress });
    };
    for (const enabled of [true, false]) {
      await expect(stop({ enabled })).rejects.toThrow("enough");
      expect(await inspectHome(home)).toBe("absent");
      expect(readdirSync(home).filter((name) => name.startsWith("lango.db"))).toEqual([]);
    }
    await (await openStore({ file, mode: "create" })).close();
    const context = { home, store, to: "home" as const };
    await move({ ...context, database: { enabled: true } });
    expect(readFileSync(file).includes("a/name")).toBe(false);
    await move({ home, to: store, database: { enabled: true } });
    const other = newHome();
    const foreign = await makeVault(other);
    await foreign.close();
    copyFileSync(`${other}/lango.db`, file);
    for (const enabled of [true, false]) {
      const before = readFileSync(file);
      await expectCode(move({ ...context, database: { enabled } }), "ERR_CONFLICT");
      expect(readFileSync(file)).toEqual(before);
    }
  });

  test("nowhere else once it was moved, and not when it is gone from there", async () => {
    const home = newHome();
    const [store, elsewhere] = [{ url: await newDatabaseUrl() }, { url: await newDatabaseUrl() }];
    await (await makeVault(home)).close();
    const died = new Error("died");
    const switchOver = () => Promise.reject(died);
    await expect(move({ home, to: store, switchOver })).rejects.toBe(died);
    const error = await expectCode(move({ home, to: elsewhere }), "ERR_CONFLICT");
    expect(error.message).toContain("was moved to postgres://");
    await move({ home, to: store, switchOver }).catch(() => undefined);
    const raw = await openStore({ url: store.url, mode: "open" });
    onTestFinished(() => raw.close());
    const row = await raw.vault.get();
    if (!row) throw new Error("There is no vault");
    const damaged = { ...row, createdAt: row.createdAt + 1 };
    await raw.transaction("full", (tx) => tx.vault.update({ ...damaged, mac: row.mac }, row.mac));
    await expectCode(move({ home, to: store }), "ERR_INTEGRITY");
    await raw.transaction("full", (tx) => tx.reset());
    const gone = await expectCode(move({ home, to: store }), "ERR_CONFLICT");
    expect(gone.message).toContain("which does not have it");
    expect(existsSync(join(home, "keyslots.json"))).toBe(true);
  });

  test("not over what another move, another copy or another program left", async () => {
    const home = newHome();
    const store: StoreAddress = { url: await newDatabaseUrl() };
    const vault = await makeVault(home);
    await vault.close();
    const raw = await openStore({ url: store.url, mode: "create" });
    onTestFinished(() => raw.close());
    const job = { kind: "store-migrate", content: "{}", startedAt: 1, updatedAt: 1 };
    await raw.transaction("full", (tx) => tx.jobs.put({ ...job, mac: new Uint8Array(32) }));
    const filled = await expectCode(move({ home, to: store }), "ERR_CONFLICT");
    expect(filled.message).toContain("being filled with another vault");
    await raw.transaction("full", (tx) => tx.reset());
    const files = await openStore({ file: join(home, "lango.db"), mode: "read" });
    const [key] = await files.keys.list();
    await files.close();
    if (!key) throw new Error("There is no key");
    await raw.transaction("full", (tx) => tx.keys.insert(key));
    const rows = await expectCode(move({ home, to: store }), "ERR_CONFLICT");
    expect(rows.message).toContain("is not empty");
    await raw.transaction("full", (tx) => tx.reset());
    const copy = newHome();
    cpSync(home, copy, { recursive: true });
    chmodSync(copy, 0o700);
    await move({ home, to: store });
    const fork = await expectCode(move({ home: copy, to: store }), "ERR_CONFLICT");
    expect(fork.message).toContain("as another copy");
    // The way back: slots of nobody knows what, and a copy that was never moved away.
    writeFileSync(join(home, "keyslots.json"), "{}", { mode: 0o600 });
    await expectCode(move({ home, store, to: "home" }), "ERR_CONFLICT");
    expect(readFileSync(join(home, "keyslots.json"), "utf8")).toBe("{}");
    rmSync(join(home, "keyslots.json"));
    copyFileSync(join(copy, "lango.db"), join(home, "lango.db"));
    await expectCode(move({ home, store, to: "home" }), "ERR_CONFLICT");
    expect(readFileSync(join(home, "lango.db"))).toEqual(readFileSync(join(copy, "lango.db")));
    // What another vault left when it was moved away.
    const other = newHome();
    await (await makeVault(other)).close();
    const switchOver = () => Promise.reject(new Error("died"));
    const elsewhere = { url: await newDatabaseUrl() };
    await expect(move({ home: other, to: elsewhere, switchOver })).rejects.toThrow("died");
    copyFileSync(join(other, "lango.db"), join(home, "lango.db"));
    await expectCode(move({ home, store, to: "home" }), "ERR_CONFLICT");
    expect(readFileSync(join(home, "lango.db"))).toEqual(readFileSync(join(other, "lango.db")));
    await (await reopen(home, { store })).close();
  });

  test("when every row is the same there, whatever the database says", async () => {
    const home = newHome();
    const from = await makeVault(home);
    await from.secrets.set("a", bytes("1"));
    await from.close();
    const source = await openStore({ file: join(home, "lango.db"), mode: "read" });
    onTestFinished(() => source.close());
    const lies: Record<string, (table: string, rows: readonly RawRow[]) => readonly RawRow[]> = {
      altered: (table, rows) => (table === "keys" ? rows.map((r) => ({ ...r, state: "x" })) : rows),
      lost: (table, rows) => (table === "secret_versions" ? [] : rows),
      invented: (table, rows) => (table === "policies" ? [{ subject: "x" }] : rows),
      "counted more": (table, rows) =>
        table === "secrets" ? rows.map((r) => ({ ...r, uses: 1000 })) : rows,
    };
    for (const [name, lie] of Object.entries(lies)) {
      const url = await newDatabaseUrl();
      const real = await openStore({ url, mode: "create" });
      onTestFinished(() => real.close());
      const page: Store["copy"]["page"] = async (table, options) =>
        options.after === undefined ? [...lie(table, await real.copy.page(table, options))] : [];
      const lying = { ...real, copy: { ...real.copy, page } };
      const error = await expectCode(copyStore(source, lying, { name: "move" }), "ERR_INTEGRITY");
      expect(error.message, name).toContain("is not the same in both databases");
    }
  });
});
