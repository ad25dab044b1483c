import { execFileSync } from "node:child_process";
import { readdirSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { utf8 } from "@lango/crypto-core";
import { acceptRollback, createVault, openVault } from "@lango/vault";
import { expect, test } from "vitest";
import { POSTGRES_USER, startPostgres } from "../../../tooling/services/postgres.ts";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { PASSPHRASE, quickKdf, unlockWith } from "./rig/vaults.ts";
import { backUp, newFolder, newKeys } from "./support.ts";

test("a vault on a server is not backed up here, and the error says how it is", async () => {
  const server = await startPostgres(requireService("postgres"), "pw");
  try {
    const folder = newFolder();
    await using vault = await createVault({
      home: join(folder, "home"),
      store: { url: `postgres://${POSTGRES_USER}:pw@127.0.0.1:${server.port}/postgres` },
      credentials: [{ kind: "passphrase", passphrase: utf8(PASSPHRASE) }],
      kdf: quickKdf(),
      acceptWeakKdf: true,
    });
    const { recipient } = await newKeys();
    await expect(backUp(vault, join(folder, "vault.age"), recipient)).rejects.toMatchObject({
      code: "ERR_UNSUPPORTED",
      context: { hint: expect.stringContaining("pg_dump") },
    });
    expect(readdirSync(folder)).toEqual(["home"]);
    const failure = (await vault.audit.tail()).at(-1);
    expect(failure).toMatchObject({ action: "backup.create", outcome: "failure" });
  } finally {
    await server.stop();
  }
});

test("but by a dump of the server, which is a vault from earlier when it is brought back", async () => {
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
