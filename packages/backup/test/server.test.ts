import { readdirSync } from "node:fs";
import { join } from "node:path";
import { utf8 } from "@lango/crypto-core";
import { createVault } from "@lango/vault";
import { expect, test } from "vitest";
import { POSTGRES_USER, startPostgres } from "../../../tooling/services/postgres.ts";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { PASSPHRASE, quickKdf } from "./rig/vaults.ts";
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
