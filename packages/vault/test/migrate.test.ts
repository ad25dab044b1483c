import type { CryptoErrorCode, Operation } from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import type { AuditEvent, MigrateOptions, Vault } from "../src/index.ts";
import { bytes, expectCode, makeVault, newHome, reopen, text } from "./helpers.ts";
import { onStage } from "./on-stage.ts";
import { countOf, type Remote, remote } from "./rig/remote.ts";
import { Sqlite } from "./sqlite.ts";

interface Setting {
  readonly home: string;
  readonly vault: Vault;
  readonly aws: Remote;
  readonly gcp: Remote;
  /** Another process, as it were. */
  open(options?: { readonly busyTimeoutMs?: number }): Promise<Vault>;
}

/** An open local vault with the secret `a`, and two providers. */
const setting = async (): Promise<Setting> => {
  const home = newHome();
  const aws = remote("aws-kms", { aliases: { now: "k1" } });
  const gcp = remote("gcp-kms", { wrapAad: false });
  const providers = { "aws-kms": aws.provider, "gcp-kms": gcp.provider };
  const vault = await makeVault(home);
  await vault.secrets.set("a", bytes("v"));
  await vault.close();
  const open: Setting["open"] = (options) =>
    reopen(home, { providers, fallbackToLocal: true, ...options });
  return { home, vault: await open(), aws, gcp, open };
};

const inDatabase = (home: string, statement: string): unknown[] => {
  const database = new Sqlite(`${home}/lango.db`, {});
  try {
    return database.prepare(statement).all();
  } finally {
    database.close();
  }
};

/** The next write needs another data key. */
const fillUp = (home: string): void => {
  inDatabase(home, "UPDATE data_keys SET messages = 1073741824 RETURNING id");
};

const migrations = async (vault: Vault): Promise<AuditEvent[]> =>
  (await vault.audit.tail(200)).filter(({ action }) => action === "provider.migrate");

const checkSound = async (vault: Vault): Promise<void> => {
  expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
};

describe("a migration", () => {
  test("goes from local to a provider, to another one and back, with every data key and no value", async () => {
    const { home, vault, aws, gcp, open } = await setting();
    fillUp(home);
    const other = await open();
    await other.secrets.set("b", bytes("w"));
    for (let i = 0; i < 50; i += 1) await other.secrets.set(`s${i}`, bytes(`${i}`));
    const values = inDatabase(home, "SELECT * FROM secret_versions ORDER BY secret_id, version");

    const done: unknown[] = [];
    const there = await vault.providers.migrate({
      to: "aws-kms:now",
      onProgress: (progress) => done.push(progress),
    });
    expect(there).toMatchObject({
      key: { name: "default", uri: "aws-kms:k1", provider: "aws-kms", keyVersion: "1" },
      from: "local:default",
      dataKeys: 2,
    });
    expect(there.notRevoked.length).toBeGreaterThan(1);
    expect(done).toEqual([
      { done: 1, total: 2 },
      { done: 2, total: 2 },
    ]);
    // The round trip of the proof, and one for each data key; a call more or less has nothing to do with the 52 secrets.
    expect(aws.calls).toEqual([
      "describeKey",
      ...Array.from({ length: 3 }, () => ["wrapKey", "unwrapKey"] as Operation[]).flat(),
    ]);
    expect((await vault.status()).dataKeys).toEqual([{ uri: "aws-kms:k1", count: 2, degraded: 0 }]);

    const across = await vault.providers.migrate({ to: "gcp-kms:k2" });
    expect(across).toMatchObject({ from: "aws-kms:k1", key: { uri: "gcp-kms:k2" }, dataKeys: 2 });
    expect((await vault.status()).dataKeys).toEqual([{ uri: "gcp-kms:k2", count: 2, degraded: 0 }]);
    expect(inDatabase(home, "SELECT * FROM secret_versions ORDER BY secret_id, version")).toEqual(
      values,
    );
    const cold = await open();
    gcp.calls.length = 0;
    aws.calls.length = 0;
    expect(text((await cold.secrets.get("a")).value)).toBe("v");
    expect(text((await cold.secrets.get("b")).value)).toBe("w");
    expect(gcp.calls).toEqual(["unwrapKey", "unwrapKey"]);
    expect(aws.calls).toEqual([]);

    const back = await vault.providers.migrate({ to: "local:default" });
    expect(back).toMatchObject({ from: "gcp-kms:k2", key: { uri: "local:default" }, dataKeys: 2 });
    const local = await reopen(home);
    expect(text((await local.secrets.get("a")).value)).toBe("v");
    await local.secrets.set("c", bytes("x"));
    expect((await migrations(local)).map(({ target, detail }) => `${target} ${detail}`)).toEqual([
      "local:default to aws-kms:k1, 2 data keys",
      "aws-kms:k1 to gcp-kms:k2, 2 data keys",
      "gcp-kms:k2 to local:default, 2 data keys",
    ]);
    await checkSound(local);
  });

  test("to where the key is already changes nothing", async () => {
    const { vault, aws } = await setting();
    expect(await vault.providers.migrate({ to: "local:default" })).toMatchObject({ dataKeys: 0 });
    await vault.providers.migrate({ to: "aws-kms:k1" });
    aws.calls.length = 0;
    expect(await vault.providers.migrate({ to: "aws-kms:now" })).toMatchObject({
      from: "aws-kms:k1",
      dataKeys: 0,
      notRevoked: [],
    });
    expect(await migrations(vault)).toHaveLength(1);
  });

  test("of one key leaves the others where they are", async () => {
    const { vault } = await setting();
    await vault.keys.create({ name: "team", type: "encryption" });
    await vault.secrets.set("t", bytes("t"), { key: "team" });
    await vault.providers.migrate({ key: "local:team", to: "aws-kms:k1" });
    expect((await vault.status()).dataKeys).toMatchObject([
      { uri: "aws-kms:k1", count: 1 },
      { uri: "vault:wrap", count: 1 },
    ]);
    expect(text((await vault.secrets.get("t")).value)).toBe("t");
  });

  test("takes what the fallback sealed along", async () => {
    const { vault, aws, open } = await setting();
    await vault.providers.migrate({ to: "aws-kms:k1" });
    aws.fault = "ERR_UNAVAILABLE";
    const cold = await open();
    await cold.secrets.set("b", bytes("w"));
    expect(await cold.status()).toMatchObject({ degradedDataKeys: 1 });
    // What the old provider wrapped, it must unwrap.
    await expectCode(() => cold.providers.migrate({ to: "gcp-kms:k1" }), "ERR_UNAVAILABLE");
    aws.fault = undefined;
    for (const to of ["gcp-kms:k1", "local:default"]) {
      await cold.providers.migrate({ to });
      expect(await cold.status()).toMatchObject({ degradedDataKeys: 0, dataKeys: [{ count: 2 }] });
      await cold.secrets.set("c", bytes("x"));
      expect(text((await cold.secrets.get("b")).value)).toBe("w");
    }
    await checkSound(cold);
  });

  const REFUSED: readonly [string, Partial<MigrateOptions>, CryptoErrorCode][] = [
    ["a scheme that is not configured", { to: "azure-kv:k1" }, "ERR_KEY_NOT_FOUND"],
    ["a key that is not there", { to: "aws-kms:none" }, "ERR_KEY_NOT_FOUND"],
    ["a key of the registry that is not there", { key: "none" }, "ERR_KEY_NOT_FOUND"],
    ["a key for MACs", { to: "aws-kms:mac" }, "ERR_KEY_USAGE"],
    ["a key of the registry for signing", { key: "sign" }, "ERR_KEY_USAGE"],
    ["a disabled key", { to: "aws-kms:disabled" }, "ERR_KEY_DISABLED"],
    ["another local key", { to: "local:other" }, "ERR_INVALID_ARGUMENT"],
    ["what is no URI", { to: "k1" }, "ERR_INVALID_ARGUMENT"],
    ["a key that is registered under another name", { to: "aws-kms:k2" }, "ERR_CONFLICT"],
  ];
  test.each(REFUSED)("is refused for %s, and changes nothing", async (_what, options, code) => {
    const { vault, home } = await setting();
    await vault.keys.create({ name: "sign", type: "signing" });
    await vault.keys.create({ name: "kms", type: "encryption", uri: "aws-kms:k2" });
    const before = rowsOf(home);
    await expectCode(() => vault.providers.migrate({ to: "aws-kms:k1", ...options }), code);
    expect(rowsOf(home)).toEqual(before);
    await checkSound(vault);
  });

  const FAULTS: readonly [string, (aws: Remote) => void, CryptoErrorCode][] = [
    [
      "cannot be reached",
      (aws) => {
        aws.fault = "ERR_UNAVAILABLE";
      },
      "ERR_UNAVAILABLE",
    ],
    [
      "may wrap and not unwrap",
      (aws) => {
        aws.fault = "ERR_ACCESS_DENIED";
        aws.faultOf = ["unwrapKey"];
      },
      "ERR_ACCESS_DENIED",
    ],
    [
      "wraps what does not open",
      (aws) => {
        aws.spoil = (wrapped) => wrapped.fill(1, 20);
      },
      "ERR_DECRYPTION_FAILED",
    ],
    [
      "wraps what does not open after it was tried",
      (aws) => {
        aws.spoil = (wrapped) => countOf(aws, "wrapKey") > 1 && wrapped.fill(1, 20);
      },
      "ERR_DECRYPTION_FAILED",
    ],
  ];
  test.each(FAULTS)(
    "to a provider that %s fails, and changes nothing",
    async (_what, spoil, code) => {
      const { vault, aws, home } = await setting();
      const before = rowsOf(home);
      spoil(aws);
      await expectCode(() => vault.providers.migrate({ to: "aws-kms:k1" }), code);
      expect(rowsOf(home)).toEqual(before);
      expect(text((await vault.secrets.get("a")).value)).toBe("v");
      expect(await migrations(vault)).toMatchObject([{ outcome: "failure", code }]);
    },
  );

  test.each([
    ["state = 'retired'", ""],
    ["state = 'decrypt-only'", ""],
    ["domain = 'other'", ""],
    ["degraded = 1", ""],
    ["created_at = 1", ""],
    ["key_id = 'gone'", "PRAGMA foreign_keys = OFF"],
  ])("puts no MAC on a data key that was altered: %s", async (change, first) => {
    const { vault, home } = await setting();
    const database = new Sqlite(`${home}/lango.db`, {});
    if (first !== "") database.prepare(first).run();
    database.prepare(`UPDATE data_keys SET ${change}`).run();
    database.close();
    const before = rowsOf(home);
    await expectCode(() => vault.providers.migrate({ to: "aws-kms:k1" }), "ERR_INTEGRITY");
    expect(rowsOf(home)).toEqual(before);
    expect(await migrations(vault)).toMatchObject([{ outcome: "failure", code: "ERR_INTEGRITY" }]);
  });

  test("ends with the reason of its signal, and changes nothing", async () => {
    const { vault, aws, home } = await setting();
    const before = rowsOf(home);
    for (const at of ["describeKey", "wrapKey", "unwrapKey"]) {
      const controller = new AbortController();
      const reason = new Error(`given up at ${at}`);
      aws.before = (operation) => void (operation === at && controller.abort(reason));
      const options = { to: "aws-kms:k1", signal: controller.signal };
      await expect(vault.providers.migrate(options)).rejects.toBe(reason);
    }
    aws.before = undefined;
    const late = new AbortController();
    onStage("migrate:wrapped", () => late.abort(new Error("late")));
    await expect(
      vault.providers.migrate({ to: "aws-kms:k1", signal: late.signal }),
    ).rejects.toThrow("late");
    expect(rowsOf(home)).toEqual(before);
    expect(await migrations(vault)).toEqual([]);
  });

  test("waits for the lock of another lango, and for no longer than it says", async () => {
    const { vault, aws, open } = await setting();
    const other = await open({ busyTimeoutMs: 100 });
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    aws.before = () => released;
    const first = vault.providers.migrate({ to: "aws-kms:k1" });
    await expectCode(() => other.providers.migrate({ to: "gcp-kms:k1" }), "ERR_CONFLICT");
    release();
    await first;
    expect(await other.keys.describe("default")).toMatchObject({ uri: "aws-kms:k1" });
  });
});

describe("while others write", () => {
  test("a data key that comes meanwhile is taken along", async () => {
    const { home, vault, aws, open } = await setting();
    let trips = 0;
    aws.before = async (operation) => {
      if (operation !== "wrapKey") return;
      trips += 1;
      // The first is the proof; then twice, so that two rounds find something new.
      if (trips === 1 || trips > 3) return;
      fillUp(home);
      await (await open()).secrets.set(`during-${trips}`, bytes("w"));
    };
    expect(await vault.providers.migrate({ to: "aws-kms:k1" })).toMatchObject({ dataKeys: 3 });
    expect((await vault.status()).dataKeys).toEqual([{ uri: "aws-kms:k1", count: 3, degraded: 0 }]);
    for (const each of [vault, await open()]) {
      for (const name of ["during-2", "during-3"]) {
        expect(text((await each.secrets.get(name)).value)).toBe("w");
      }
    }
    await checkSound(vault);
  });

  test("a degraded data key that comes meanwhile is taken along, though nothing else has changed", async () => {
    const { home, vault, gcp } = await setting();
    await vault.providers.migrate({ to: "aws-kms:k1" });
    const gone = remote("aws-kms");
    gone.fault = "ERR_UNAVAILABLE";
    const providers = { "aws-kms": gone.provider };
    const cold = await reopen(home, { providers, fallbackToLocal: true });
    gcp.before = async (operation) => {
      // The second wrap: the first is the proof.
      if (operation !== "wrapKey" || countOf(gcp, "wrapKey") !== 2) return;
      expect(await cold.secrets.set("b", bytes("w"))).toMatchObject({ degraded: true });
    };
    expect(await vault.providers.migrate({ to: "gcp-kms:k1" })).toMatchObject({ dataKeys: 2 });
    expect((await vault.status()).dataKeys).toEqual([{ uri: "gcp-kms:k1", count: 2, degraded: 0 }]);
    expect(text((await vault.secrets.get("b")).value)).toBe("w");
    await checkSound(vault);
  });

  test("a data key that another re-wraps meanwhile is wrapped again as it is then", async () => {
    const { home, vault, gcp, open } = await setting();
    await vault.providers.migrate({ to: "aws-kms:k1" });
    const gone = remote("aws-kms");
    gone.fault = "ERR_UNAVAILABLE";
    const cold = await reopen(home, {
      providers: { "aws-kms": gone.provider },
      fallbackToLocal: true,
    });
    expect(await cold.secrets.set("b", bytes("w"))).toMatchObject({ degraded: true });
    const other = await open();
    gcp.before = async (operation) => {
      // The second wrap: the first is the proof.
      if (operation !== "wrapKey" || countOf(gcp, "wrapKey") !== 2) return;
      expect(await other.providers.rewrap()).toEqual({ rewrapped: 1 });
    };
    expect(await vault.providers.migrate({ to: "gcp-kms:k1" })).toMatchObject({ dataKeys: 2 });
    expect((await vault.status()).dataKeys).toEqual([{ uri: "gcp-kms:k1", count: 2, degraded: 0 }]);
    expect(text((await vault.secrets.get("b")).value)).toBe("w");
    await checkSound(vault);
  });

  test("a data key that another wrapped for the old key and not yet stored is wrapped again", async () => {
    const { home, vault, aws, gcp, open } = await setting();
    await vault.providers.migrate({ to: "aws-kms:k1" });
    fillUp(home);
    const other = await open();
    await other.secrets.get("a");
    let trips = 0;
    aws.before = async (operation) => {
      if (operation !== "wrapKey") return;
      trips += 1;
      if (trips === 1) await vault.providers.migrate({ to: "gcp-kms:k1" });
    };
    gcp.calls.length = 0;
    await other.secrets.set("b", bytes("w"));
    expect((await vault.status()).dataKeys).toEqual([{ uri: "gcp-kms:k1", count: 2, degraded: 0 }]);
    expect(text((await (await open()).secrets.get("b")).value)).toBe("w");
    await checkSound(vault);
  });

  test("a rewrap that comes too late for the old key does nothing", async () => {
    const { vault, aws, gcp, open } = await setting();
    await vault.providers.migrate({ to: "aws-kms:k1" });
    aws.fault = "ERR_UNAVAILABLE";
    const cold = await open();
    await cold.secrets.set("b", bytes("w"));
    aws.fault = undefined;
    let trips = 0;
    aws.before = async (operation) => {
      if (operation !== "wrapKey") return;
      trips += 1;
      if (trips === 1) await vault.providers.migrate({ to: "gcp-kms:k1" });
    };
    expect(await cold.providers.rewrap()).toEqual({ rewrapped: 0 });
    expect((await vault.status()).dataKeys).toEqual([{ uri: "gcp-kms:k1", count: 2, degraded: 0 }]);
    gcp.calls.length = 0;
    expect(text((await (await open()).secrets.get("b")).value)).toBe("w");
    await checkSound(vault);
  });

  test("a process that has the data keys open notices nothing", async () => {
    const { vault, open } = await setting();
    const warm = await open();
    await warm.secrets.set("b", bytes("w"));
    await vault.providers.migrate({ to: "aws-kms:k1" });
    expect(text((await warm.secrets.get("a")).value)).toBe("v");
    await warm.secrets.set("b", bytes("w2"));
    expect(text((await vault.secrets.get("b")).value)).toBe("w2");
  });
});

describe("a local key that was put under a provider", () => {
  test("still opens what it sealed, and seals nothing new until it is local again", async () => {
    const { vault } = await setting();
    const local = vault.keys.provider();
    const plaintext = bytes("text");
    const { ciphertext } = await local.encrypt({ keyId: "default", plaintext });
    const wrap = { keyId: "default", key: new Uint8Array(32).fill(7) };
    const { wrappedKey } = await local.wrapKey!(wrap);
    await vault.providers.migrate({ to: "aws-kms:k1" });
    expect(text(await local.decrypt({ keyId: "default", ciphertext }))).toBe("text");
    expect(await local.unwrapKey!({ keyId: "default", wrappedKey })).toEqual(wrap.key);
    await expectCode(() => local.encrypt({ keyId: "default", plaintext }), "ERR_KEY_DISABLED");
    await expectCode(() => local.wrapKey!(wrap), "ERR_KEY_DISABLED");
    await vault.providers.migrate({ to: "local:default" });
    expect(await vault.keys.describe("default")).toMatchObject({
      keyVersion: "1",
      algorithm: "aes-256-gcm",
    });
    expect(text(await local.decrypt({ keyId: "default", ciphertext }))).toBe("text");
    await local.encrypt({ keyId: "default", plaintext });
  });

  test("gets its versions back, and a key that never was local its first one", async () => {
    const { vault } = await setting();
    await vault.keys.rotate("default");
    await vault.keys.create({ name: "kms", type: "encryption", uri: "gcp-kms:k1" });
    await vault.providers.migrate({ to: "aws-kms:k1" });
    expect(await vault.providers.migrate({ to: "local:default" })).toMatchObject({
      key: { keyVersion: "2" },
    });
    expect(await vault.providers.migrate({ key: "kms", to: "local:kms" })).toMatchObject({
      key: { keyVersion: "1", provider: "local" },
    });
    const local = vault.keys.provider();
    for (const keyId of ["default", "kms"]) {
      const { ciphertext } = await local.encrypt({ keyId, plaintext: bytes("x") });
      expect(text(await local.decrypt({ keyId, ciphertext }))).toBe("x");
    }
    await checkSound(vault);
  });

  test("without one of its versions it does not come back", async () => {
    const { home, vault } = await setting();
    await vault.keys.rotate("default");
    await vault.providers.migrate({ to: "aws-kms:k1" });
    inDatabase(home, "DELETE FROM key_versions WHERE version = '1' RETURNING version");
    await expectCode(() => vault.providers.migrate({ to: "local:default" }), "ERR_INTEGRITY");
    expect(await vault.keys.describe("default")).toMatchObject({ uri: "aws-kms:k1" });
  });
});

const rowsOf = (home: string): unknown => [
  inDatabase(home, "SELECT * FROM keys ORDER BY id"),
  inDatabase(home, "SELECT * FROM key_versions ORDER BY key_id, version"),
  inDatabase(home, "SELECT * FROM data_keys ORDER BY id"),
];

test("a key that is disabled at its provider is not registered", async () => {
  const { vault } = await setting();
  const create = () =>
    vault.keys.create({ name: "off", type: "encryption", uri: "aws-kms:disabled" });
  await expectCode(create, "ERR_KEY_DISABLED");
  expect((await vault.keys.list()).map(({ name }) => name)).toEqual(["default"]);
});
