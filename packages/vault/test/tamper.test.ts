import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Vault } from "../src/index.ts";
import { acceptRollback, readVault } from "../src/index.ts";
import {
  bytes,
  expectCode,
  makeVault,
  newHome,
  PASSPHRASE,
  quickKdf,
  reopen,
  text,
  withPassphrase,
} from "./helpers.ts";
import { runAndKill } from "./rig/spawn.ts";
import { passphraseOf } from "./rig/work.ts";
import { Sqlite } from "./sqlite.ts";

/** What a thief with write access to the database, and no key, can do. */
const edit = (home: string, ...statements: string[]): void => {
  const database = new Sqlite(join(home, "lango.db"), {});
  // Such a writer is not held by our constraints either.
  database.exec("pragma foreign_keys = off");
  database.exec("pragma ignore_check_constraints = on");
  for (const statement of statements) {
    if (statement.startsWith("CREATE")) database.exec(statement);
    else expect(database.prepare(statement).run().changes, statement).toBeGreaterThan(0);
  }
  database.close();
};

const makeFilled = async (): Promise<string> => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("value of a"));
  await vault.secrets.set("b", bytes("value of b"));
  await vault.secrets.set("b", bytes("value of b, second"));
  await vault.keys.create({ name: "sig", type: "signing", algorithm: "ed25519" });
  await vault.close();
  return home;
};

const idOf = (name: string): string => `(SELECT id FROM secrets WHERE name = '${name}')`;

/** The chain alone may be sound; the rows are not as it says. */
const expectFault = async (vault: Vault, problem: RegExp): Promise<void> => {
  const report = await vault.audit.verify({ rows: true });
  expect(report.ok).toBe(false);
  expect(report.faults.map((fault) => fault.problem).join("\n")).toMatch(problem);
};

describe("secrets", () => {
  test("two sealed values swapped", async () => {
    const home = await makeFilled();
    edit(
      home,
      "CREATE TEMP TABLE kept AS SELECT secret_id, version, sealed, data_key_id FROM secret_versions",
      `UPDATE secret_versions SET sealed = (SELECT sealed FROM temp.kept WHERE secret_id = ${idOf("b")} AND version = 1) WHERE secret_id = ${idOf("a")}`,
      `UPDATE secret_versions SET sealed = (SELECT sealed FROM temp.kept WHERE secret_id = ${idOf("a")}) WHERE secret_id = ${idOf("b")} AND version = 1`,
    );
    const vault = await reopen(home);
    await expectCode(() => vault.secrets.get("a"), "ERR_DECRYPTION_FAILED");
    await expectCode(() => vault.secrets.get("b", { version: 1 }), "ERR_DECRYPTION_FAILED");
    expect(text((await vault.secrets.get("b")).value)).toBe("value of b, second");
    expect((await vault.audit.tail(3))[0]).toMatchObject({
      code: "ERR_DECRYPTION_FAILED",
      target: "a",
    });
    await expectFault(vault, /secrets\/a@1 of table secret_versions is not as row \d+/);
  });

  test("two versions of one secret swapped", async () => {
    const home = await makeFilled();
    edit(
      home,
      `UPDATE secret_versions SET sealed = (SELECT sealed FROM secret_versions WHERE secret_id = ${idOf("b")} AND version = 1) WHERE secret_id = ${idOf("b")} AND version = 2`,
    );
    await expectCode(async () => (await reopen(home)).secrets.get("b"), "ERR_DECRYPTION_FAILED");
  });

  test("a secret renamed", async () => {
    const home = await makeFilled();
    edit(home, "UPDATE secrets SET name = 'c' WHERE name = 'a'");
    const vault = await reopen(home);
    await expectCode(() => vault.secrets.get("c"), "ERR_INTEGRITY");
    await expectCode(() => vault.secrets.set("c", bytes("x")), "ERR_INTEGRITY");
    await expectCode(() => vault.secrets.delete("c"), "ERR_INTEGRITY");
    await expectCode(() => vault.secrets.history("c"), "ERR_INTEGRITY");
    await expectCode(() => vault.secrets.list(), "ERR_INTEGRITY");
    await expectCode(() => vault.secrets.get("a"), "ERR_NOT_FOUND");
    await expectFault(vault, /secrets\/a of table secrets is gone/);
    await expectFault(vault, /secrets\/c of table secrets is not in the log/);
  });

  test("the pointer put back to an older version", async () => {
    const home = await makeFilled();
    edit(home, "UPDATE secrets SET current_version = 1 WHERE name = 'b'");
    const vault = await reopen(home);
    await expectCode(() => vault.secrets.get("b"), "ERR_INTEGRITY");
    await expectFault(vault, /secrets\/b of table secrets is not as/);
  });

  test("the whole older row and version put back: only the log knows", async () => {
    const home = await makeFilled();
    const database = new Sqlite(join(home, "lango.db"), {});
    const row = database.prepare("SELECT * FROM secrets WHERE name = 'a'").get() as Record<
      string,
      unknown
    >;
    const version = database
      .prepare(`SELECT * FROM secret_versions WHERE secret_id = ${idOf("a")}`)
      .get() as Record<string, unknown>;
    database.close();
    const vault = await reopen(home);
    await vault.secrets.set("a", bytes("new value of a"));
    await vault.close();
    const again = new Sqlite(join(home, "lango.db"), {});
    again
      .prepare("UPDATE secrets SET current_version = 1, updated_at = ?, mac = ? WHERE name = 'a'")
      .run(row["updated_at"], row["mac"]);
    again.prepare(`DELETE FROM secret_versions WHERE secret_id = ${idOf("a")}`).run();
    const columns = Object.keys(version);
    again
      .prepare(`INSERT INTO secret_versions (${columns}) VALUES (${columns.map(() => "?")})`)
      .run(...Object.values(version));
    again.close();
    const opened = await reopen(home);
    expect(text((await opened.secrets.get("a")).value)).toBe("value of a");
    await expectFault(opened, /secrets\/a of table secrets is not as row \d+ of the log wrote it/);
    await expectFault(opened, /secrets\/a@2 of table secret_versions is gone/);
  });

  test("rows deleted", async () => {
    const home = await makeFilled();
    edit(
      home,
      `DELETE FROM secret_versions WHERE secret_id = ${idOf("a")}`,
      "DELETE FROM secrets WHERE name = 'a'",
    );
    const vault = await reopen(home);
    await expectCode(() => vault.secrets.get("a"), "ERR_NOT_FOUND");
    await expectFault(vault, /secrets\/a of table secrets is gone/);
  });

  test("another data key named in the row", async () => {
    const home = await makeFilled();
    const vault = await reopen(home);
    await vault.keys.create({ name: "other", type: "encryption" });
    await vault.secrets.set("z", bytes("z"), { key: "other" });
    await vault.close();
    edit(
      home,
      `UPDATE secret_versions SET data_key_id = (SELECT data_key_id FROM secret_versions WHERE secret_id = ${idOf("z")}) WHERE secret_id = ${idOf("a")}`,
    );
    await expectCode(async () => (await reopen(home)).secrets.get("a"), "ERR_DECRYPTION_FAILED");
  });

  test.each([0, 8, 20, 52, 64, 73])("a bit of byte %i of a sealed value", async (offset) => {
    const home = await makeFilled();
    const database = new Sqlite(join(home, "lango.db"), {});
    const { sealed } = database
      .prepare(`SELECT sealed FROM secret_versions WHERE secret_id = ${idOf("a")}`)
      .get() as { sealed: Buffer };
    sealed[offset] = (sealed[offset] ?? 0) ^ 0x40;
    database
      .prepare(`UPDATE secret_versions SET sealed = ? WHERE secret_id = ${idOf("a")}`)
      .run(sealed);
    database.close();
    const vault = await reopen(home);
    const error = await vault.secrets.get("a").then(
      () => undefined,
      (reason: { code: string }) => reason,
    );
    expect(error?.code).toBe(offset < 8 ? "ERR_MALFORMED_ENVELOPE" : "ERR_DECRYPTION_FAILED");
  });
});

describe("rows that steer security", () => {
  test.each([
    ["keys", "UPDATE keys SET state = 'disabled' WHERE name = 'default'"],
    ["keys", "UPDATE keys SET provider = 'aws-kms', remote_key_id = 'arn' WHERE name = 'default'"],
    ["keys", "UPDATE keys SET type = 'signing' WHERE name = 'default'"],
    ["keys", "UPDATE keys SET mac = zeroblob(32) WHERE name = 'default'"],
  ])("%s: %s", async (_table, statement) => {
    const home = await makeFilled();
    edit(home, statement);
    const vault = await reopen(home);
    await expectCode(() => vault.keys.list(), "ERR_INTEGRITY");
    await expectCode(() => vault.keys.describe("default"), "ERR_INTEGRITY");
    await expectCode(() => vault.secrets.set("n", bytes("x")), "ERR_INTEGRITY");
    await expectCode(
      () => vault.keys.provider().encrypt({ keyId: "default", plaintext: bytes("x") }),
      "ERR_INTEGRITY",
    );
    await expectFault(vault, /of table keys is not as/);
  });

  test.each([
    "UPDATE key_versions SET state = 'disabled'",
    "UPDATE key_versions SET sealed = (SELECT sealed FROM key_versions v JOIN keys k ON k.id = v.key_id WHERE k.name = 'sig') WHERE key_id = (SELECT id FROM keys WHERE name = 'default')",
  ])("key_versions: %s", async (statement) => {
    const home = await makeFilled();
    edit(home, statement);
    const vault = await reopen(home);
    await expectCode(
      () => vault.keys.provider().encrypt({ keyId: "default", plaintext: bytes("x") }),
      "ERR_INTEGRITY",
    );
    await expectFault(vault, /of table key_versions is not as/);
  });

  test.each([
    "UPDATE data_keys SET state = 'decrypt-only'",
    "UPDATE data_keys SET wrap_uri = 'aws-kms:evil'",
    "UPDATE data_keys SET wrapped = zeroblob(112)",
    "UPDATE data_keys SET domain = 'other'",
  ])("data_keys: %s", async (statement) => {
    const home = await makeFilled();
    edit(home, statement);
    const vault = await reopen(home);
    await expectCode(() => vault.secrets.get("a"), "ERR_INTEGRITY");
    await expectFault(vault, /of table data_keys is not as/);
  });

  test("data_keys: gone", async () => {
    const home = await makeFilled();
    edit(home, "DELETE FROM data_keys");
    const vault = await reopen(home);
    await expectCode(() => vault.secrets.get("a"), "ERR_DECRYPTION_FAILED");
    await expectFault(vault, /of table data_keys is gone/);
  });

  test.each([
    "UPDATE vault SET slot_generation = 7",
    "UPDATE vault SET audit_epoch = 2",
    "UPDATE vault SET audit_key = zeroblob(112)",
    "UPDATE vault SET pending_generation = 2, pending_mac = zeroblob(32)",
    "UPDATE vault SET state = 'onboarding'",
  ])("vault: %s", async (statement) => {
    const home = await makeFilled();
    edit(home, statement);
    await expectCode(() => reopen(home), "ERR_INTEGRITY");
  });
});

describe("files from earlier", () => {
  const NEW = "another long passphrase";
  const changed = async (): Promise<{ home: string; old: string }> => {
    const home = await makeFilled();
    const old = newHome();
    copyHome(home, old);
    const vault = await reopen(home);
    await vault.slots.changePassphrase({
      oldPassphrase: bytes(PASSPHRASE),
      newPassphrase: bytes(NEW),
      kdf: quickKdf(),
      acceptWeakKdf: true,
    });
    await vault.close();
    return { home, old };
  };
  const copyHome = (from: string, to: string): void => {
    for (const name of ["keyslots.json", "keyslots.bak.json", "lango.db"]) {
      copyFileSync(join(from, name), `${to}-${name}`);
    }
  };
  const putBack = (home: string, old: string, ...names: string[]): void => {
    for (const name of names)
      writeFileSync(join(home, name), readFileSync(`${old}-${name}`), { mode: 0o600 });
  };

  test("an old keyslots.json, with the passphrase that was changed", async () => {
    const { home, old } = await changed();
    putBack(home, old, "keyslots.json", "keyslots.bak.json");
    await expectCode(() => reopen(home), "ERR_KEYSLOTS_ROLLED_BACK");
    expect(readFileSync(join(home, "keyslots.json"))).toEqual(readFileSync(`${old}-keyslots.json`));
  });

  test("an old lango.db", async () => {
    const { home, old } = await changed();
    putBack(home, old, "lango.db");
    await expectCode(() => reopen(home, { passphrase: NEW }), "ERR_STORE_ROLLED_BACK");
  });

  /** Accepts the older file and checks that the vault is whole, with new generation and data keys. */
  const accepted = async (home: string, passphrase: string, older: string, generation: number) => {
    const unlock = withPassphrase(passphrase);
    const result = await acceptRollback({ home, unlock });
    expect(result).toMatchObject({ older, generation, retiredDataKeys: 1 });
    const vault = await reopen(home, { passphrase });
    expect(text((await vault.secrets.get("b")).value)).toBe("value of b, second");
    await vault.secrets.set("c", bytes("sealed anew"));
    expect((await vault.status()).slotGeneration).toBe(generation);
    const actions = (await vault.audit.tail()).map(({ action, target }) => `${action} ${target}`);
    expect(actions).toContain(`vault.accept-rollback ${older}`);
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
    await vault.close();
    const database = new Sqlite(join(home, "lango.db"), {});
    const states = database
      .prepare("SELECT state FROM data_keys ORDER BY created_at, state DESC")
      .all() as { state: string }[];
    database.close();
    expect(states.map(({ state }) => state)).toEqual(["decrypt-only", "active"]);
    expect(readFileSync(join(home, "keyslots.bak.json"))).toEqual(
      readFileSync(join(home, "keyslots.json")),
    );
    return result;
  };

  test("an old keyslots.json, accepted", async () => {
    const { home, old } = await changed();
    putBack(home, old, "keyslots.json", "keyslots.bak.json");
    await using locked = await readVault({ home });
    expect((await locked.status()).slotFile).toBe("older");
    await expectCode(
      () => acceptRollback({ home, unlock: withPassphrase(NEW) }),
      "ERR_WRONG_PASSPHRASE",
    );
    await accepted(home, PASSPHRASE, "keyslots", 3);
    expect((await locked.status()).slotFile).toBe("settled");
    // Once is enough.
    expect(await acceptRollback({ home, unlock: withPassphrase() })).toEqual({
      older: "none",
      generation: 3,
      retiredDataKeys: 0,
      setAside: [],
    });
  });

  test("an old lango.db, accepted; its anchors are set aside", async () => {
    const { home, old } = await changed();
    const anchored = await reopen(home, { passphrase: NEW, audit: { anchor: "local:sig" } });
    await anchored.close();
    putBack(home, old, "lango.db");
    await using locked = await readVault({ home });
    expect((await locked.status()).slotFile).toBe("newer");
    const { setAside } = await accepted(home, NEW, "store", 3);
    expect(setAside).toEqual(["audit-anchors.before-generation-3.jsonl"]);
    expect(readFileSync(join(home, setAside[0] ?? ""), "utf8")).toContain('"uri":"local:sig"');
  });

  test("a change that was announced while the file was old: accepted above all of them", async () => {
    const { home, old } = await changed();
    putBack(home, old, "keyslots.json", "keyslots.bak.json");
    // A first try that died after its announcement.
    const killed = await runAndKill(["rollback", home, "slots:pending"], {
      env: { RIG_PASSPHRASE: PASSPHRASE },
    });
    expect(killed.signal).toBe("SIGKILL");
    await expectCode(() => reopen(home), "ERR_KEYSLOTS_ROLLED_BACK");
    const result = await acceptRollback({ home, unlock: withPassphrase() });
    expect(result).toMatchObject({ older: "keyslots", generation: 4, retiredDataKeys: 0 });
    const vault = await reopen(home);
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
  });

  test.each(["slots:pending", "slots:renamed"])(
    "killed at %s: the status says unfinished until the next opening",
    async (stage) => {
      const home = newHome();
      const vault = await makeVault(home, passphraseOf(0));
      await vault.close();
      const killed = await runAndKill(["passphrase", home, stage]);
      expect(killed.stage).toBe(stage);
      await using locked = await readVault({ home });
      expect((await locked.status()).slotFile).toBe("unfinished");
      await (
        await reopen(home, { passphrase: passphraseOf(stage === "slots:pending" ? 0 : 1) })
      ).close();
      expect((await locked.status()).slotFile).toBe("settled");
    },
  );

  test("altered files are not accepted", async () => {
    const { home, old } = await changed();
    putBack(home, old, "lango.db");
    edit(home, "UPDATE vault SET slot_generation = 7");
    await expectCode(() => acceptRollback({ home, unlock: withPassphrase(NEW) }), "ERR_INTEGRITY");
  });

  test("another branch of the same generation", async () => {
    const { home, old } = await changed();
    // The old copy is opened elsewhere, and its passphrase changed there.
    const twin = newHome();
    mkdirSync(twin, { mode: 0o700 });
    putBack(twin, old, "keyslots.json", "keyslots.bak.json", "lango.db");
    const vault = await reopen(twin);
    await vault.slots.changePassphrase({
      oldPassphrase: bytes(PASSPHRASE),
      newPassphrase: bytes("a third passphrase"),
      kdf: quickKdf(),
      acceptWeakKdf: true,
    });
    await vault.close();
    writeFileSync(join(home, "keyslots.json"), readFileSync(join(twin, "keyslots.json")));
    await expectCode(
      () => reopen(home, { passphrase: "a third passphrase" }),
      "ERR_KEYSLOTS_ROLLED_BACK",
    );
  });

  test("everything from earlier, in one piece: the noted head of the log shows it", async () => {
    const { home, old } = await changed();
    const vault = await reopen(home, { passphrase: NEW });
    const noted = await vault.audit.verify();
    await vault.close();
    putBack(home, old, "keyslots.json", "keyslots.bak.json", "lango.db");
    const back = await reopen(home);
    const now = await back.audit.verify({ rows: true });
    expect(now.ok).toBe(true);
    expect(now.rows).toBeLessThan(noted.rows);
    expect(now.head).not.toBe(noted.head);
  });

  test("slots of one vault beside the database of another", async () => {
    const [one, two] = [await makeFilled(), await makeFilled()];
    writeFileSync(join(one, "keyslots.json"), readFileSync(join(two, "keyslots.json")));
    const before = readFileSync(join(one, "lango.db"));
    await expectCode(() => reopen(one), "ERR_INTEGRITY");
    await expectCode(() => readVault({ home: one }), "ERR_INTEGRITY");
    expect(readFileSync(join(one, "lango.db"))).toEqual(before);
  });
});

describe("the log", () => {
  const verify = async (home: string, problem: RegExp): Promise<void> => {
    await using locked = await readVault({ home });
    const links = await locked.audit.verifyLinks();
    expect(links.ok).toBe(false);
    expect(links.faults[0]?.problem).toMatch(problem);
  };

  test("a row deleted", async () => {
    const home = await makeFilled();
    edit(home, "DELETE FROM audit_log WHERE seq = 3");
    await verify(home, /^Row 3 is missing$/);
  });

  test("an entry edited: one fault, at its row", async () => {
    const home = await makeFilled();
    edit(
      home,
      `UPDATE audit_log SET entry = replace(entry, '"target":"a"', '"target":"x"') WHERE seq = 3`,
    );
    await using locked = await readVault({ home });
    expect((await locked.audit.verifyLinks()).faults).toEqual([
      { seq: 3, problem: "Row 3 was edited: its hash differs" },
    ]);
  });

  test("an entry edited and its hash made to fit: the MAC shows it, and so does the next row", async () => {
    const home = await makeFilled();
    const database = new Sqlite(join(home, "lango.db"), {});
    const row = database.prepare("SELECT * FROM audit_log WHERE seq = 3").get() as {
      prev: Buffer;
      entry: string;
    };
    const entry = row.entry.replace('"target":"a"', '"target":"x"');
    const hash = createHash("sha256").update(row.prev).update(entry).digest();
    database.prepare("UPDATE audit_log SET entry = ?, hash = ? WHERE seq = 3").run(entry, hash);
    database.close();
    const vault = await reopen(home);
    const { faults } = await vault.audit.verify();
    expect(faults.map(({ seq }) => seq)).toEqual([3, 4]);
    expect(faults[0]?.problem).toMatch(/MAC/);
  });

  test("the end cut off", async () => {
    const home = await makeFilled();
    edit(home, "DELETE FROM audit_log WHERE seq >= 5");
    await verify(home, /^The log ends at row 4, its head says 6$/);
  });

  test("the end cut off and the head made to fit: the rows it wrote are not in the log", async () => {
    const home = await makeFilled();
    edit(
      home,
      "DELETE FROM audit_log WHERE seq >= 5",
      "UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit_log WHERE seq = 4)",
    );
    const vault = await reopen(home);
    expect((await vault.audit.verify()).ok).toBe(true);
    await expectFault(vault, /secrets\/b@2 of table secret_versions is not in the log/);
  });

  test("rows of another vault", async () => {
    const [one, two] = [await makeFilled(), await makeFilled()];
    const database = new Sqlite(join(one, "lango.db"), {});
    database.exec(`ATTACH '${join(two, "lango.db")}' AS other`);
    database.exec("DELETE FROM audit_log; INSERT INTO audit_log SELECT * FROM other.audit_log");
    database.exec("DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM other.audit_head");
    database.close();
    const vault = await reopen(one);
    const { faults } = await vault.audit.verify();
    expect(faults).toHaveLength(6);
    expect(faults.every(({ problem }) => problem.includes("MAC differs"))).toBe(true);
  });
});

test("a database whose rows are all gone is no half-made vault", async () => {
  const home = await makeFilled();
  rmSync(join(home, "keyslots.json"));
  edit(home, "DELETE FROM vault");
  await expectCode(() => makeVault(home), "ERR_CONFLICT");
});
