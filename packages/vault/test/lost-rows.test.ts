import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bytes, expectCode, makeVault, newHome, reopen, text } from "./helpers.ts";
import { Sqlite } from "./sqlite.ts";

/** Runs statements as a writer would who has the database, and no key. */
const edit = (home: string, ...statements: string[]): void => {
  const database = new Sqlite(join(home, "lango.db"), {});
  database.exec("pragma foreign_keys = off");
  for (const statement of statements) {
    expect(database.prepare(statement).run().changes, statement).toBeGreaterThan(0);
  }
  database.close();
};

describe("versions of keys", () => {
  const makeRotated = async (): Promise<string> => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.keys.create({ name: "sig", type: "signing", algorithm: "ed25519" });
    for (const keyId of ["sig", "default"]) {
      for (let turn = 0; turn < 2; turn += 1) {
        await vault.keys.provider().rotateKey?.({ keyId });
      }
    }
    await vault.close();
    return home;
  };

  test.for(["3", "2", "1"])(
    "version %s of 3 removed: no other takes its place",
    async (version) => {
      const home = await makeRotated();
      edit(home, `DELETE FROM key_versions WHERE version = '${version}'`);
      const provider = (await reopen(home)).keys.provider();
      const message = bytes("x");
      await expectCode(async () => provider.sign?.({ keyId: "sig", message }), "ERR_INTEGRITY");
      await expectCode(
        () => provider.encrypt({ keyId: "default", plaintext: message }),
        "ERR_INTEGRITY",
      );
    },
  );

  test("the row of the key put back to an earlier version", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    const columns = "key_version = ?, mac = ?";
    const database = new Sqlite(join(home, "lango.db"), {});
    const before = database
      .prepare("SELECT key_version, mac FROM keys WHERE name = 'default'")
      .get() as { key_version: string; mac: Uint8Array };
    await vault.keys.provider().rotateKey?.({ keyId: "default" });
    await vault.close();
    database
      .prepare(`UPDATE keys SET ${columns} WHERE name = 'default'`)
      .run(before.key_version, before.mac);
    database.close();
    const provider = (await reopen(home)).keys.provider();
    await expectCode(
      () => provider.encrypt({ keyId: "default", plaintext: bytes("x") }),
      "ERR_INTEGRITY",
    );
  });

  test("two processes that rotate and use one key disturb nobody", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    const other = await reopen(home);
    const rotate = async (): Promise<void> => {
      for (let turn = 0; turn < 10; turn += 1) {
        await other.keys.provider().rotateKey?.({ keyId: "default" });
      }
    };
    const use = async (): Promise<void> => {
      for (let turn = 0; turn < 100; turn += 1) {
        await vault.keys.provider().encrypt({ keyId: "default", plaintext: bytes("x") });
      }
    };
    await Promise.all([rotate(), use()]);
    expect((await vault.keys.describe("default")).keyVersion).toBe("11");
  });
});

describe("versions of secrets", () => {
  test("the current one removed: not as if there were no such secret, and the others stay in reach", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("a", bytes("first"));
    await vault.secrets.set("a", bytes("second"));
    await vault.close();
    edit(home, "DELETE FROM secret_versions WHERE version = 2");
    const { secrets } = await reopen(home);
    expect((await expectCode(() => secrets.get("a"), "ERR_INTEGRITY")).message).toContain("2");
    await expectCode(() => secrets.get("a", { version: 2 }), "ERR_INTEGRITY");
    await expectCode(() => secrets.get("a", { version: 3 }), "ERR_NOT_FOUND");
    expect(text((await secrets.get("a", { version: 1 })).value)).toBe("first");
    expect(await secrets.rollback("a", 1)).toMatchObject({ version: 3 });
    expect(text((await secrets.get("a")).value)).toBe("first");
  });

  test("a secret marked as deleted without the key", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("a", bytes("value"));
    await vault.close();
    edit(home, "UPDATE secrets SET deleted_at = 1");
    const { secrets, audit } = await reopen(home);
    await expectCode(() => secrets.get("a"), "ERR_INTEGRITY");
    await expectCode(() => secrets.history("a"), "ERR_INTEGRITY");
    await expectCode(() => secrets.delete("a"), "ERR_INTEGRITY");
    await expectCode(() => secrets.set("a", bytes("other")), "ERR_INTEGRITY");
    const { faults } = await audit.verify({ rows: true });
    expect(faults.map(({ problem }) => problem).join()).toContain("secrets/a of table secrets");
  });

  test("a deleted secret is not there, also with its versions put back", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("a", bytes("value"));
    const database = new Sqlite(join(home, "lango.db"), {});
    database.exec("CREATE TEMP TABLE kept AS SELECT * FROM secret_versions");
    await vault.secrets.delete("a");
    await vault.close();
    database.exec("INSERT INTO secret_versions SELECT * FROM temp.kept");
    database.close();
    const { secrets } = await reopen(home);
    await expectCode(() => secrets.get("a"), "ERR_NOT_FOUND");
    await expectCode(() => secrets.get("a", { version: 1 }), "ERR_NOT_FOUND");
  });
});
