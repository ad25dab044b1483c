import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createVault, inspectHome, openVault, readVault } from "../src/index.ts";
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

describe("onboarding", () => {
  test("makes a vault with a default key, everything private", async () => {
    const home = newHome();
    expect(await inspectHome(home)).toBe("absent");
    const vault = await makeVault(home);
    expect(await inspectHome(home)).toBe("ready");
    expect(vault.unlockedBy).toEqual({
      slotId: (await vault.slots.list())[0]?.id,
      kind: "passphrase",
      source: "onboard",
      ambient: false,
      skipped: [],
    });
    expect(await vault.keys.list()).toMatchObject([
      { name: "default", uri: "local:default", type: "encryption", algorithm: "aes-256-gcm" },
    ]);
    expect(await vault.status()).toMatchObject({
      id: vault.id,
      locked: false,
      secretCount: 0,
      keyCount: 1,
      slotGeneration: 1,
      degraded: false,
      slots: [{ kind: "passphrase", kdf: "pbkdf2-sha256" }],
    });
    expect(statSync(home).mode & 0o777).toBe(0o700);
    for (const name of ["keyslots.json", "keyslots.bak.json", "lango.db"]) {
      expect(statSync(join(home, name)).mode & 0o777).toBe(0o600);
    }
    expect(readFileSync(join(home, "keyslots.bak.json"))).toEqual(
      readFileSync(join(home, "keyslots.json")),
    );
  });

  test("needs a credential, and a passphrase of 8 characters, before it writes anything", async () => {
    const home = newHome();
    await expectCode(() => createVault({ home, credentials: [] }), "ERR_INVALID_ARGUMENT");
    const passphrase = bytes("1234567");
    await expectCode(
      () => createVault({ home, credentials: [{ kind: "passphrase", passphrase }] }),
      "ERR_INVALID_ARGUMENT",
    );
    expect(existsSync(home)).toBe(false);
  });

  test("never touches a vault that is there", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.secrets.set("a", bytes("v"));
    await vault.close();
    const before = readFileSync(join(home, "keyslots.json"));
    await expectCode(() => makeVault(home), "ERR_CONFLICT");
    expect(readFileSync(join(home, "keyslots.json"))).toEqual(before);
    const again = await reopen(home);
    expect(text((await again.secrets.get("a")).value)).toBe("v");
  });

  test.each([
    ["keyslots.json is gone", (home: string) => rmSync(join(home, "keyslots.json"))],
    ["lango.db is gone", (home: string) => rmSync(join(home, "lango.db"))],
    [
      "only the backup is left",
      (home: string) => {
        rmSync(join(home, "lango.db"));
        rmSync(join(home, "keyslots.json"));
      },
    ],
    [
      "keyslots.json is cut short",
      (home: string) => writeFileSync(join(home, "keyslots.json"), "{"),
    ],
    [
      "lango.db is no database",
      (home: string) => writeFileSync(join(home, "lango.db"), "x".repeat(9000)),
    ],
    ["lango.db is empty", (home: string) => writeFileSync(join(home, "lango.db"), "")],
  ])("nor what may be one: %s", async (_what, damage) => {
    const home = newHome();
    await (await makeVault(home)).close();
    damage(home);
    const state = await inspectHome(home);
    expect(state).toMatchObject({ damaged: expect.any(Error) });
    const left = ["keyslots.json", "keyslots.bak.json", "lango.db"].map((name) =>
      existsSync(join(home, name)) ? readFileSync(join(home, name)).toString("hex") : "",
    );
    await expectCode(() => makeVault(home), "ERR_CONFLICT");
    const after = ["keyslots.json", "keyslots.bak.json", "lango.db"].map((name) =>
      existsSync(join(home, name)) ? readFileSync(join(home, name)).toString("hex") : "",
    );
    expect(after).toEqual(left);
    for (const open of [
      () => openVault({ home, unlock: withPassphrase() }),
      () => readVault({ home }),
    ]) {
      const error = await open().then(
        () => undefined,
        (reason: { code: string }) => reason,
      );
      expect(error?.code).toMatch(/^ERR_(INTEGRITY|MALFORMED_ENVELOPE|CONFLICT)$/);
    }
  });

  test("of two at once one wins, and its vault works", async () => {
    const home = newHome();
    const results = await Promise.allSettled([makeVault(home), makeVault(home)]);
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const lost = results.find((result) => result.status === "rejected");
    expect(lost?.reason).toMatchObject({ code: "ERR_CONFLICT" });
    const vault = await reopen(home);
    await vault.secrets.set("a", bytes("v"));
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
  });
});

describe("opening", () => {
  test("where there is no vault says how to make one", async () => {
    const home = newHome();
    for (const run of [
      () => openVault({ home, unlock: withPassphrase() }),
      () => readVault({ home }),
    ]) {
      const error = await expectCode(run, "ERR_LOCKED");
      expect(error.message).toContain(home);
      expect(error.context.hint).toContain("lango onboard");
    }
  });

  test("with a wrong passphrase fails, and is in the log from the next opening on", async () => {
    const home = newHome();
    await (await makeVault(home)).close();
    const error = await expectCode(
      () => reopen(home, { passphrase: "wrong horse" }),
      "ERR_WRONG_PASSPHRASE",
    );
    expect(error.message).not.toContain("wrong horse");
    await expectCode(() => reopen(home, { passphrase: "wrong again" }), "ERR_WRONG_PASSPHRASE");
    const spool = join(home, "unlock-failures.jsonl");
    expect(statSync(spool).mode & 0o777).toBe(0o600);
    expect(readFileSync(spool, "utf8").trim().split("\n")).toHaveLength(2);
    const vault = await reopen(home);
    expect(existsSync(spool)).toBe(false);
    const events = (await vault.audit.tail()).slice(-3);
    expect(events).toMatchObject([
      {
        action: "vault.unlock",
        outcome: "failure",
        code: "ERR_WRONG_PASSPHRASE",
        authenticated: false,
      },
      { action: "vault.unlock", outcome: "failure", authenticated: false },
      { action: "vault.unlock", outcome: "success", authenticated: true },
    ]);
    expect(events[0]?.detail).toContain(`pid ${process.pid}`);
  });

  test("takes only sound lines from the file of failures, which does not grow without end", async () => {
    const home = newHome();
    await (await makeVault(home)).close();
    const spool = join(home, "unlock-failures.jsonl");
    const line = JSON.stringify({
      code: "ERR_WRONG_PASSPHRASE",
      pid: 1,
      source: "x\u001b[31m",
      ts: 1,
    });
    const odd = [
      "",
      "{",
      "null",
      "[]",
      '{"code":"ERR_NOPE","pid":1,"source":"x","ts":1}',
      line.replace('"ts":1', '"ts":1e300'),
      ...['"why"', '"__proto__"', '["idle"]', "1"].map(
        (agent) => `{"agent":${agent},"pid":1,"ts":1}`,
      ),
      '{"agent":"idle","pid":"1","ts":1}',
    ];
    writeFileSync(spool, [line, ...odd].join("\n"), { mode: 0o600 });
    const vault = await reopen(home);
    const failures = (await vault.audit.tail()).filter(({ authenticated }) => !authenticated);
    expect(failures).toMatchObject([{ detail: "1970-01-01T00:00:00.001Z pid 1 x?[31m" }]);
    await vault.close();
    writeFileSync(spool, "x".repeat(64 * 1024 - 10), { mode: 0o600 });
    await expectCode(() => reopen(home, { passphrase: "wrong horse" }), "ERR_WRONG_PASSPHRASE");
    expect(statSync(spool).size).toBe(64 * 1024 - 10);
    await reopen(home);
  });

  test("refuses a keyslots file that others can read", async () => {
    const home = newHome();
    await (await makeVault(home)).close();
    chmodSync(join(home, "keyslots.json"), 0o644);
    const error = await expectCode(() => reopen(home), "ERR_CONFIG");
    expect(error.context.hint).toBe(`Run: chmod 600 '${join(home, "keyslots.json")}'`);
  });

  test("names a damaged keyslots file and its copy, and works again with it", async () => {
    const home = newHome();
    await (await makeVault(home)).close();
    const file = join(home, "keyslots.json");
    const good = readFileSync(file, "utf8");
    writeFileSync(file, good.replace(/"generation": 1/, '"generation": 2'));
    const error = await expectCode(() => reopen(home), "ERR_INTEGRITY");
    expect(error.message).toContain(file);
    expect(error.context.hint).toContain("keyslots.bak.json");
    copyFileSync(join(home, "keyslots.bak.json"), file);
    await reopen(home);
  });

  test("mends a backup that is missing or old", async () => {
    const home = newHome();
    await (await makeVault(home)).close();
    const backup = join(home, "keyslots.bak.json");
    for (const spoil of [
      () => rmSync(backup),
      () => writeFileSync(backup, "old"),
      () => chmodSync(backup, 0o644),
    ]) {
      spoil();
      await (await reopen(home)).close();
      expect(readFileSync(backup)).toEqual(readFileSync(join(home, "keyslots.json")));
      expect(statSync(backup).mode & 0o777).toBe(0o600);
    }
  });

  test("zeroes the credential", async () => {
    const home = newHome();
    await (await makeVault(home)).close();
    for (const passphrase of [PASSPHRASE, "wrong horse"]) {
      let secret = new Uint8Array();
      await openVault({
        home,
        unlock: async (slots) => {
          const result = await withPassphrase(passphrase)(slots);
          secret = result.credential.secret;
          return result;
        },
      }).then(
        (vault) => vault.close(),
        () => {},
      );
      expect(secret.length).toBeGreaterThan(0);
      expect(secret.every((byte) => byte === 0)).toBe(true);
    }
  });

  test("works with a master key beside the passphrase", async () => {
    const home = newHome();
    const key = crypto.getRandomValues(new Uint8Array(32));
    const vault = await createVault({
      home,
      credentials: [
        { kind: "passphrase", passphrase: bytes(PASSPHRASE) },
        { kind: "master-key-file", key },
      ],
      kdf: quickKdf(),
      acceptWeakKdf: true,
    });
    await vault.secrets.set("a", bytes("v"));
    await vault.close();
    const unlock = async (slots: readonly { id: string; kind: string }[]) => ({
      credential: {
        kind: "master-key-file" as const,
        source: "master.key",
        secret: new Uint8Array(key),
        ambient: true,
        slotIds: slots.filter(({ kind }) => kind === "master-key-file").map(({ id }) => id),
      },
      skipped: [{ source: "LANGO_MASTER_KEY", reason: "not set" }],
    });
    const again = await reopen(home, { unlock });
    expect(again.unlockedBy).toEqual({
      slotId: (await again.slots.list())[1]?.id,
      kind: "master-key-file",
      source: "master.key",
      ambient: true,
      skipped: [{ source: "LANGO_MASTER_KEY", reason: "not set" }],
    });
    expect(text((await again.secrets.get("a")).value)).toBe("v");
  });
});

test("a locked vault shows names, counts and slots, and writes nothing", async () => {
  const home = newHome();
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("v"));
  await vault.secrets.set("wallet/k", bytes("v"));
  await vault.close();
  const before = readFileSync(join(home, "lango.db"));
  const locked = await readVault({ home });
  expect(locked.id).toBe(vault.id);
  expect(await locked.secrets.list()).toMatchObject([
    { name: "a", key: "local:default" },
    { name: "wallet/k" },
  ]);
  expect(await locked.secrets.list({ audience: "agent" })).toHaveLength(1);
  expect(await locked.keys.list()).toMatchObject([{ name: "default" }]);
  expect(await locked.slots.list()).toMatchObject([{ kind: "passphrase" }]);
  expect(await locked.status()).toMatchObject({ locked: true, secretCount: 2, keyCount: 1 });
  await locked.close();
  await expectCode(() => locked.status(), "ERR_CLOSED");
  expect(readFileSync(join(home, "lango.db"))).toEqual(before);
});

test("after close every call is ERR_CLOSED, and calls under way finish", async () => {
  const vault = await makeVault(newHome());
  await vault.secrets.set("a", bytes("v"));
  const provider = vault.keys.provider();
  const underWay = Promise.all([vault.secrets.get("a"), vault.secrets.set("b", bytes("w"))]);
  await Promise.all([vault.close(), vault.close()]);
  expect((await underWay)[1].version).toBe(1);
  for (const run of [
    () => vault.secrets.get("a"),
    () => vault.secrets.set("a", bytes("v")),
    () => vault.secrets.list(),
    () => vault.keys.list(),
    () => vault.slots.list(),
    () => vault.audit.tail(),
    () => vault.audit.verify(),
    () => vault.audit.append({ action: "a" }),
    () => vault.status(),
    () =>
      vault.slots.changePassphrase({
        oldPassphrase: bytes(PASSPHRASE),
        newPassphrase: bytes(PASSPHRASE),
      }),
    () => provider.encrypt({ keyId: "default", plaintext: bytes("x") }),
    async () => vault.keys.provider(),
  ]) {
    await expectCode(run, "ERR_CLOSED");
  }
});

test("an empty folder with other files in it may become a home", async () => {
  const home = newHome();
  mkdirSync(home, { mode: 0o700 });
  writeFileSync(join(home, "config.json"), "{}", { mode: 0o600 });
  await makeVault(home);
  expect(await inspectHome(home)).toBe("ready");
});
