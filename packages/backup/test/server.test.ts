import { execFileSync } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { readdirSync, readFileSync, realpathSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { utf8 } from "@lango/crypto-core";
import { acceptRollback, createVault, moveVault, openVault } from "@lango/vault";
import { describe, expect, onTestFinished, test } from "vitest";
import { POSTGRES_USER, startPostgres } from "../../../tooling/services/postgres.ts";
import { newDatabaseUrl } from "../../../tooling/vitest/postgres.ts";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { createBackup, restoreBackup, verifyBackup } from "../src/index.ts";
import { runAndKill } from "./rig/spawn.ts";
import { create, open, PASSPHRASE, quickKdf, unlockWith } from "./rig/vaults.ts";
import { backUp, DEVICE, newFolder, newKeys } from "./support.ts";

const SETTINGS = {
  audit: { onFailure: "spool" },
  store: { driver: "postgres", url: "postgres://x" },
};

/** A vault on a server, with secrets of several versions, a device and settings. */
const onServer = async () => {
  const url = await newDatabaseUrl();
  const folder = newFolder();
  const home = join(folder, "home");
  const vault = await create(home, url);
  onTestFinished(() => vault.close());
  for (const value of ["first", "second"]) await vault.secrets.set("api/key", utf8(value));
  for (let n = 0; n < 300; n += 1) await vault.secrets.set(`many/${n}`, utf8(`value ${n}`));
  await vault.companions.add({
    ...{ id: DEVICE, name: "phone", role: "companion" },
    fingerprint: "f".repeat(43),
  });
  writeFileSync(join(home, "config.json"), JSON.stringify(SETTINGS), { mode: 0o600 });
  const files = readdirSync(home).sort();
  return { ...(await newKeys()), url, folder, home, vault, files, file: join(folder, "b.age") };
};

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

describe("a backup of a vault on a server", () => {
  test("is of its rows in a file, says from where, and becomes a vault in its home", async () => {
    const { vault, url, folder, home, file, files, recipient, identity } = await onServer();
    const { manifest } = await backUp(vault, file, recipient);
    expect(readdirSync(home).sort()).toEqual(files);
    const shown = new URL(url);
    shown.password = "";
    expect(manifest).toMatchObject({ from: shown.href, slotGeneration: 1 });
    const opening = { identities: [identity] };
    expect(await verifyBackup({ file, opening })).toEqual(manifest);

    const to = join(folder, "restored");
    const restored = await restoreBackup({ file, home: to, opening, unlock: unlockWith() });
    expect(restored).toMatchObject({
      ...{ generation: { backup: 1, now: 2 }, secretCount: 301, databaseEncrypted: false },
      ...{ retiredDataKeys: 1, suspendedCompanions: 1 },
    });
    expect(JSON.parse(readFileSync(join(to, "config.json"), "utf8"))).toEqual({
      ...SETTINGS,
      store: { driver: "sqlite" },
    });
    await using back = await open(to);
    expect(text((await back.secrets.get("api/key")).value)).toBe("second");
    expect(text((await back.secrets.get("api/key", { version: 1 })).value)).toBe("first");
    expect(text((await back.secrets.get("many/299")).value)).toBe("value 299");
    expect((await back.audit.verify({ rows: true })).faults).toEqual([]);
    // The one on the server goes on, and the restored one may go to another place there.
    await vault.secrets.set("api/key", utf8("third"));
    await back.secrets.set("api/key", utf8("another"));
    await back.close();
    const other = await newDatabaseUrl();
    await moveVault({
      ...{ home: to, to: { url: other }, unlock: unlockWith() },
      switchOver: async () => undefined,
    });
    await using moved = await open(to, undefined, other);
    expect(text((await moved.secrets.get("api/key")).value)).toBe("another");
  });

  test("is encrypted where the home wants its database so, already while it is made", async () => {
    const { url, folder, home, file, recipient, identity } = await onServer();
    const found: string[] = [];
    const onStage = (stage: unknown): void => {
      if (stage !== "backup:verify") return;
      const copy = join(home, "lango.db.copy");
      found.push(readFileSync(join(copy, "lango.db.copy")).subarray(0, 6).toString("latin1"));
      expect(statSync(copy).mode & 0o777).toBe(0o700);
      for (const name of readdirSync(copy))
        expect(statSync(join(copy, name)).mode & 0o777).toBe(0o600);
    };
    subscribe("lango.vault.stage", onStage);
    onTestFinished(() => void unsubscribe("lango.vault.stage", onStage));
    const wish = { enabled: true };
    const options = { home, store: { url }, unlock: unlockWith() };
    await using vault = await openVault({ ...options, database: wish });
    await backUp(vault, file, recipient);
    expect(found).not.toHaveLength(0);
    expect(new Set(found)).not.toContain("SQLite");
    const to = join(folder, "restored");
    const opening = { identities: [identity] };
    const restored = await restoreBackup({ file, home: to, opening, unlock: unlockWith() });
    expect(restored.databaseEncrypted).toBe(true);
    await using back = await openVault({ home: to, unlock: unlockWith(), database: wish });
    expect(text((await back.secrets.get("api/key")).value)).toBe("second");
  });

  test("that is given up or loses its server leaves nothing behind", async () => {
    const { vault, url, folder, home, file, files, recipient } = await onServer();
    const sealing = { recipients: [recipient] };
    const address = new URL(url);
    address.search = "";
    // Nothing goes on meanwhile: it is lost in the middle, not some time later.
    const lose = (): Buffer => {
      const sql =
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'lango'";
      return execFileSync(requireService("psql"), ["-Xqc", sql, address.href]);
    };
    const controller = new AbortController();
    let act = (): unknown => controller.abort(new Error("enough"));
    const onStage = (stage: unknown): void => void (stage === "backup:copy" && act());
    subscribe("lango.vault.stage", onStage);
    onTestFinished(() => void unsubscribe("lango.vault.stage", onStage));
    const { signal } = controller;
    await expect(createBackup({ vault, to: file, sealing, lango: "1", signal })).rejects.toThrow(
      "enough",
    );
    expect(readdirSync(home).sort()).toEqual(files);
    act = lose;
    const lost = createBackup({ vault, to: file, sealing, lango: "1" });
    await expect(lost).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
    expect(readdirSync(home).sort()).toEqual(files);
    expect(readdirSync(folder)).toEqual(["home"]);
    act = () => undefined;
    await createBackup({ vault, to: file, sealing, lango: "1" });
  });

  test("that is killed while it copies leaves a folder, which the next opening removes", async () => {
    const { vault, url, folder, home, files, recipient } = await onServer();
    await vault.close();
    const args = ["backup", home, join(folder, "b"), recipient, "backup:verify", url];
    expect((await runAndKill(args, undefined)).signal).toBe("SIGKILL");
    expect(readdirSync(home)).toContain("lango.db.copy");
    await (await open(home, undefined, url)).close();
    expect(readdirSync(home).sort()).toEqual(files);
  });

  test("replaces the home of its machine with slots above those that the machine has seen", async () => {
    const { vault, url, home, file, recipient, identity } = await onServer();
    await backUp(vault, file, recipient);
    for (const byte of [1, 2]) {
      await vault.slots.add({ kind: "env", key: new Uint8Array(32).fill(byte) });
    }
    await vault.close();
    const options = { file, home, opening: { identities: [identity] }, unlock: unlockWith() };
    const restored = await restoreBackup({ ...options, force: true });
    expect(restored).toMatchObject({ generation: { backup: 1, now: 4 }, returnedSlots: undefined });
    await using back = await open(home);
    expect(text((await back.secrets.get("api/key")).value)).toBe("second");
    await using former = await open(restored.setAside ?? "", undefined, url);
    expect(await former.slots.list()).toHaveLength(3);
  });
});

test("a dump of the server, which is a vault from earlier when it is brought back", async () => {
  const program = requireService("postgres");
  const tool = (name: string): string => join(dirname(realpathSync(program)), name);
  const server = await startPostgres(program, "pw");
  try {
    const home = join(newFolder(), "home");
    const dump = join(newFolder(), "vault.dump");
    const address = `postgres://${POSTGRES_USER}@127.0.0.1:${server.port}/postgres`;
    const store = { url: address.replace("@", ":pw@") };
    const env = { ...process.env, PGPASSWORD: "pw" };
    const run = (name: string, ...args: string[]) => execFileSync(tool(name), args, { env });
    const credentials = [{ kind: "passphrase" as const, passphrase: utf8(PASSPHRASE) }];
    const weak = { kdf: quickKdf(), acceptWeakKdf: true };
    const vault = await createVault({ home, store, credentials, ...weak });
    await vault.secrets.set("a", utf8("1"));
    run("pg_dump", "--format=custom", "--schema=lango", "--file", dump, address);
    await vault.slots.add({ kind: "env", key: new Uint8Array(32).fill(1) });
    await vault.close();
    run("psql", "-qc", "drop schema lango cascade", address);
    run("pg_restore", "--dbname", address, dump);
    const options = { home, store, unlock: unlockWith() };
    await expect(openVault(options)).rejects.toMatchObject({ code: "ERR_STORE_ROLLED_BACK" });
    const accepted = await acceptRollback(options);
    expect(accepted).toMatchObject({ older: "store", generation: 3, retiredDataKeys: 1 });
    await using again = await openVault(options);
    expect(Buffer.from((await again.secrets.get("a")).value).toString()).toBe("1");
    expect((await again.audit.verify({ rows: true })).faults).toEqual([]);
  } finally {
    await server.stop();
  }
});
