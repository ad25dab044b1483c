import type { CryptoErrorCode } from "@lango/crypto-core";
import { CryptoError, createResilientProvider } from "@lango/crypto-core";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { AuditEvent, OpenVaultOptions, Vault } from "../src/index.ts";
import { bytes, expectCode, makeVault, newHome, PASSPHRASE, reopen, text } from "./helpers.ts";
import { countOf, type Remote, remote } from "./rig/remote.ts";
import { Sqlite } from "./sqlite.ts";

const URI = "aws-kms:k1";
const QUARTER_MS = 15 * 60_000;

afterEach(() => void vi.useRealTimers());

/** A vault under a provider's key, with the secret `a`, closed. */
const created = async (
  kms: Remote,
  prepare: (vault: Vault) => Promise<void> = async () => {},
): Promise<string> => {
  const home = newHome();
  const vault = await makeVault(home, PASSPHRASE, {
    defaultKey: { uri: URI, provider: kms.provider },
  });
  await vault.secrets.set("a", bytes("v"));
  await prepare(vault);
  await vault.close();
  return home;
};

const openWith = (
  home: string,
  kms: Remote,
  fallbackToLocal: OpenVaultOptions["fallbackToLocal"] = true,
): Promise<Vault> => reopen(home, { providers: { "aws-kms": kms.provider }, fallbackToLocal });

interface Row {
  readonly id: string;
  readonly domain: string;
  readonly state: string;
  readonly wrap_uri: string;
  readonly degraded: number;
  readonly messages: number;
}

const dataKeys = (home: string): Row[] => {
  const database = new Sqlite(`${home}/lango.db`, {});
  try {
    const columns = "id, domain, state, wrap_uri, degraded, messages";
    return database
      .prepare(`SELECT ${columns} FROM data_keys ORDER BY created_at, id`)
      .all() as Row[];
  } finally {
    database.close();
  }
};

const eventsOf = async (vault: Vault, action: string): Promise<AuditEvent[]> =>
  (await vault.audit.tail(200)).filter((event) => event.action === action);

const until = async (isSo: () => Promise<boolean>): Promise<void> => {
  for (let i = 0; i < 500 && !(await isSo()); i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

describe("a cold start while the provider cannot be reached", () => {
  test.each(["ERR_UNAVAILABLE", "ERR_TIMEOUT", "ERR_CIRCUIT_OPEN"] as const)(
    "%s: a new data key under the vault key, degraded and in the log",
    async (fault) => {
      const kms = remote();
      const home = await created(kms);
      kms.fault = fault;
      const vault = await openWith(home, kms);
      expect(await vault.secrets.set("b", bytes("w"))).toMatchObject({
        degraded: true,
        version: 1,
      });
      expect(await vault.secrets.set("c", bytes("x"))).toMatchObject({ degraded: true });
      expect(text((await vault.secrets.get("b")).value)).toBe("w");
      expect(await vault.status()).toMatchObject({
        degraded: true,
        degradedDataKeys: 1,
        dataKeys: [
          { uri: URI, count: 1, degraded: 0 },
          { uri: "vault:wrap", count: 1, degraded: 1 },
        ],
        rootedIn: null,
      });
      const events = await eventsOf(vault, "provider.fallback");
      expect(events).toMatchObject([{ target: URI, code: fault, outcome: "success" }]);
      const [own, degraded] = dataKeys(home).sort((a, b) => a.degraded - b.degraded);
      expect(own).toMatchObject({ wrap_uri: URI, state: "active", degraded: 0 });
      expect(degraded).toMatchObject({ wrap_uri: "vault:wrap", state: "active", degraded: 1 });
      expect(events[0]?.detail).toBe(`to vault:wrap, data key ${degraded?.id}`);
      expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
      // What the provider wrapped needs the provider: reading goes by the row, never by trial.
      await expectCode(() => vault.secrets.get("a"), fault);
    },
  );

  test("every process says in the log that it began; the degraded data key is shared", async () => {
    const kms = remote();
    const home = await created(kms);
    kms.fault = "ERR_UNAVAILABLE";
    const first = await openWith(home, kms);
    const second = await openWith(home, kms);
    for (const vault of [first, second, first, second]) await vault.secrets.set("b", bytes("w"));
    expect(await eventsOf(first, "provider.fallback")).toHaveLength(2);
    expect(dataKeys(home)).toHaveLength(2);
  });

  test("also when the key has no data key yet", async () => {
    const kms = remote();
    const home = await created(kms);
    const vault = await openWith(home, kms);
    await vault.keys.create({ name: "team", type: "encryption", uri: "aws-kms:k2" });
    kms.fault = "ERR_UNAVAILABLE";
    expect(await vault.secrets.set("b", bytes("w"), { key: "team" })).toMatchObject({
      degraded: true,
    });
    kms.fault = undefined;
    expect(await vault.secrets.set("b", bytes("w2"))).not.toHaveProperty("degraded");
  });

  test("many at once make one degraded data key", async () => {
    const kms = remote();
    const home = await created(kms);
    kms.fault = "ERR_UNAVAILABLE";
    const vaults = [await openWith(home, kms), await openWith(home, kms)];
    await Promise.all(
      vaults.flatMap((vault, writer) =>
        Array.from({ length: 20 }, (_, i) => vault.secrets.set(`s${writer}-${i}`, bytes("w"))),
      ),
    );
    expect(dataKeys(home).filter(({ degraded }) => degraded === 1)).toHaveLength(1);
  });

  test("a degraded data key that is full makes way for another", async () => {
    const kms = remote();
    const home = await created(kms);
    kms.fault = "ERR_UNAVAILABLE";
    const first = await openWith(home, kms);
    await first.secrets.set("b", bytes("w"));
    await first.close();
    const database = new Sqlite(`${home}/lango.db`, {});
    database.prepare("UPDATE data_keys SET messages = 1073741824 WHERE degraded = 1").run();
    database.close();
    const vault = await openWith(home, kms);
    await vault.secrets.set("c", bytes("x"));
    expect(text((await vault.secrets.get("b")).value)).toBe("w");
    expect(dataKeys(home).filter(({ degraded }) => degraded === 1)).toMatchObject(
      expect.arrayContaining([
        expect.objectContaining({ state: "active" }),
        expect.objectContaining({ state: "decrypt-only" }),
      ]),
    );
    expect(await vault.status()).toMatchObject({ degradedDataKeys: 2 });
    kms.fault = undefined;
    expect(await vault.providers.rewrap()).toEqual({ rewrapped: 2 });
  });

  const NEVER: readonly CryptoErrorCode[] = [
    "ERR_RATE_LIMITED",
    "ERR_ACCESS_DENIED",
    "ERR_KEY_DISABLED",
    "ERR_KEY_NOT_FOUND",
    "ERR_INTERNAL",
  ];
  test.each(NEVER)("%s is no reason to fall back: the write fails with it", async (fault) => {
    const kms = remote();
    const home = await created(kms);
    kms.fault = fault;
    const vault = await openWith(home, kms);
    await expectCode(() => vault.secrets.set("b", bytes("w")), fault);
    expect(dataKeys(home)).toHaveLength(1);
    expect(await eventsOf(vault, "provider.fallback")).toEqual([]);
  });

  test.each([
    false,
    undefined,
    {},
    { "gcp-kms": true },
    { "aws-kms": false },
    Object.create({ "aws-kms": true }) as Record<string, boolean>,
  ])("off (%j): the write fails with the provider's error", async (fallbackToLocal) => {
    const kms = remote();
    const home = await created(kms);
    kms.fault = "ERR_TIMEOUT";
    const providers = { "aws-kms": kms.provider };
    const vault = await reopen(home, { providers, fallbackToLocal });
    await expectCode(() => vault.secrets.set("b", bytes("w")), "ERR_TIMEOUT");
    expect(dataKeys(home)).toHaveLength(1);
    expect(await vault.status()).toMatchObject({ degraded: false });
  });

  test("by scheme", async () => {
    const kms = remote();
    const home = await created(kms);
    kms.fault = "ERR_UNAVAILABLE";
    const vault = await openWith(home, kms, { "aws-kms": true });
    expect(await vault.secrets.set("b", bytes("w"))).toMatchObject({ degraded: true });
  });

  test("a provider that is not configured is no provider that cannot be reached", async () => {
    const home = await created(remote());
    const vault = await reopen(home, { fallbackToLocal: true });
    await expectCode(() => vault.secrets.set("b", bytes("w")), "ERR_KEY_NOT_FOUND");
  });

  test("with retries and a breaker around the provider: the same", async () => {
    const kms = remote();
    const home = await created(kms);
    const provider = createResilientProvider(kms.provider, {
      retry: { retries: 2, baseDelayMs: 1 },
    });
    kms.fault = "ERR_UNAVAILABLE";
    const vault = await reopen(home, { providers: { "aws-kms": provider }, fallbackToLocal: true });
    for (let i = 0; i < 10; i += 1) {
      expect(await vault.secrets.set("b", bytes("w"))).toMatchObject({ degraded: true });
    }
  });
});

describe("a warm data key of the provider", () => {
  test("seals on for 15 minutes, which is no downgrade; then the fallback begins", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    const kms = remote();
    const home = await created(kms);
    const vault = await openWith(home, kms);
    await vault.secrets.get("a");
    kms.fault = "ERR_UNAVAILABLE";
    kms.calls.length = 0;
    for (const afterMs of [0, QUARTER_MS - 1000]) {
      vi.advanceTimersByTime(afterMs);
      expect(await vault.secrets.set("b", bytes("w"))).not.toHaveProperty("degraded");
      expect(text((await vault.secrets.get("a")).value)).toBe("v");
    }
    expect(kms.calls).toEqual([]);
    expect(await vault.status()).toMatchObject({ degraded: false });
    vi.advanceTimersByTime(1000);
    expect(await vault.secrets.set("b", bytes("w"))).toMatchObject({ degraded: true });
    await expectCode(() => vault.secrets.get("a"), "ERR_UNAVAILABLE");
  });

  test("stays in use where it is warm when another process falls back", async () => {
    const kms = remote();
    const home = await created(kms);
    const warm = await openWith(home, kms);
    await warm.secrets.get("a");
    kms.fault = "ERR_UNAVAILABLE";
    const cold = await openWith(home, kms);
    expect(await cold.secrets.set("b", bytes("w"))).toMatchObject({ degraded: true });
    expect(await warm.secrets.set("c", bytes("x"))).not.toHaveProperty("degraded");
    expect(await cold.secrets.set("b", bytes("w2"))).toMatchObject({ degraded: true });
  });

  test("that is full cannot be replaced without the provider: the fallback begins", async () => {
    const kms = remote();
    const home = await created(kms);
    const database = new Sqlite(`${home}/lango.db`, {});
    database.prepare("UPDATE data_keys SET messages = 1073741824").run();
    database.close();
    const vault = await openWith(home, kms);
    await vault.secrets.get("a");
    kms.fault = "ERR_UNAVAILABLE";
    expect(await vault.secrets.set("b", bytes("w"))).toMatchObject({ degraded: true });
    kms.fault = undefined;
    expect(await vault.secrets.set("b", bytes("w"))).not.toHaveProperty("degraded");
    expect(dataKeys(home).filter(({ wrap_uri }) => wrap_uri === URI).length).toBeGreaterThan(1);
  });
});

describe("when the provider answers again", () => {
  /** A vault with a value that the fallback sealed, closed. */
  const degraded = async (
    kms: Remote,
    ...prepare: Parameters<typeof created>[1][]
  ): Promise<string> => {
    const home = await created(kms, ...prepare);
    kms.fault = "ERR_UNAVAILABLE";
    const vault = await openWith(home, kms);
    await vault.secrets.set("b", bytes("w"));
    await vault.close();
    kms.fault = undefined;
    kms.calls.length = 0;
    return home;
  };
  const isWhole = async (vault: Vault): Promise<boolean> => !(await vault.status()).degraded;

  test("the same process has it wrap the data key, without touching values", async () => {
    const kms = remote();
    const home = await created(kms);
    kms.fault = "ERR_UNAVAILABLE";
    const vault = await openWith(home, kms);
    await vault.secrets.set("b", bytes("w"));
    const sealed = sealedOf(home);
    kms.fault = undefined;
    expect(await vault.secrets.set("c", bytes("x"))).not.toHaveProperty("degraded");
    await until(() => isWhole(vault));
    expect(await vault.status()).toMatchObject({
      degradedDataKeys: 0,
      dataKeys: [{ uri: URI, count: 2, degraded: 0 }],
    });
    expect(sealedOf(home).slice(0, sealed.length)).toEqual(sealed);
    expect(await eventsOf(vault, "provider.rewrap")).toMatchObject([
      { target: URI, outcome: "success" },
    ]);
    // New values go under the data key that was the provider's always.
    expect(dataKeys(home).filter(({ state }) => state === "active")).toMatchObject([
      { domain: "secrets", wrap_uri: URI },
    ]);
    expect(text((await vault.secrets.get("b")).value)).toBe("w");
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
    await vault.close();
    const again = await openWith(home, kms);
    expect(text((await again.secrets.get("b")).value)).toBe("w");
  });

  test("a short command that only reads does it too, before it is closed", async () => {
    const kms = remote();
    const home = await degraded(kms);
    const vault = await openWith(home, kms, false);
    await vault.secrets.get("a");
    await vault.close();
    expect(dataKeys(home).filter((row) => row.degraded === 1)).toEqual([]);
  });

  test("nobody waits for it, and it runs once, however often the provider answers", async () => {
    const kms = remote();
    const home = await degraded(kms, async (vault) => {
      for (const [name, uri] of [
        ["one", "aws-kms:k2"],
        ["two", "aws-kms:k3"],
      ] as const) {
        await vault.keys.create({ name, type: "encryption", uri });
        await vault.secrets.set(name, bytes(name), { key: name });
      }
    });
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    kms.before = (operation) => (operation === "wrapKey" ? released : undefined);
    const vault = await openWith(home, kms);
    for (let i = 0; i < 20; i += 1) {
      await vault.secrets.set(`n${i}`, bytes("n"));
      await vault.secrets.get("a");
      await vault.secrets.get("b");
    }
    await vault.secrets.get("one");
    expect(await isWhole(vault)).toBe(false);
    expect(countOf(kms, "wrapKey")).toBe(1);
    release();
    await until(() => isWhole(vault));
    expect(await isWhole(vault)).toBe(true);
    await vault.secrets.get("two");
    await vault.close();
    expect(countOf(kms, "wrapKey")).toBe(1);
  });

  test("a provider that hangs then holds no closing up for more than 2 s", async () => {
    const kms = remote();
    const home = await degraded(kms);
    kms.before = (operation) =>
      operation === "wrapKey"
        ? new Promise((resolve) => setTimeout(resolve, 60_000).unref())
        : undefined;
    const vault = await reopen(home, {
      providers: { "aws-kms": createResilientProvider(kms.provider) },
    });
    await vault.secrets.get("a");
    const start = performance.now();
    await vault.close();
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(dataKeys(home).filter((row) => row.degraded === 1)).toHaveLength(1);
  });

  test("it is gone again in the middle: tried at the next answer; a refusal is noted, not thrown", async () => {
    const kms = remote();
    const home = await degraded(kms);
    kms.fault = "ERR_TIMEOUT";
    kms.faultOf = ["wrapKey"];
    const vault = await openWith(home, kms);
    await vault.secrets.get("a");
    await until(async () => countOf(kms, "wrapKey") === 1);
    expect(await isWhole(vault)).toBe(false);
    expect(await eventsOf(vault, "provider.rewrap")).toEqual([]);
    await vault.close();

    kms.fault = "ERR_ACCESS_DENIED";
    const second = await openWith(home, kms);
    await second.secrets.get("a");
    await until(async () => (await eventsOf(second, "provider.rewrap")).length > 0);
    expect(await eventsOf(second, "provider.rewrap")).toMatchObject([
      { outcome: "failure", code: "ERR_ACCESS_DENIED" },
    ]);
    expect(await isWhole(second)).toBe(false);
    expect(text((await second.secrets.get("b")).value)).toBe("w");
    await second.close();

    kms.fault = undefined;
    const third = await openWith(home, kms);
    await third.secrets.get("a");
    await until(() => isWhole(third));
    expect(await isWhole(third)).toBe(true);
  });

  test("an answer between the failure and the degraded data key is not the one that counts", async () => {
    const kms = remote();
    const home = await created(kms, async (vault) => {
      for (const [name, uri] of [
        ["one", "aws-kms:k2"],
        ["two", "aws-kms:k3"],
      ] as const) {
        await vault.keys.create({ name, type: "encryption", uri });
        await vault.secrets.set(name, bytes(name), { key: name });
      }
    });
    const vault = await openWith(home, kms);
    const other = new Sqlite(`${home}/lango.db`, {});
    kms.calls.length = 0;
    kms.fault = "ERR_UNAVAILABLE";
    // From now on until the commit nobody else writes, so the degraded data key has to wait.
    kms.before = () => {
      if (countOf(kms, "unwrapKey") === 1) other.prepare("BEGIN IMMEDIATE").run();
    };
    const write = vault.secrets.set("b", bytes("w"));
    await until(async () => countOf(kms, "unwrapKey") === 1);
    kms.before = undefined;
    kms.fault = undefined;
    const read = vault.secrets.get("one");
    await until(async () => countOf(kms, "unwrapKey") === 2);
    await new Promise((resolve) => setTimeout(resolve, 50));
    other.prepare("COMMIT").run();
    other.close();
    expect(await write).toMatchObject({ degraded: true });
    await read;
    expect(await isWhole(vault)).toBe(false);
    await vault.secrets.get("two");
    await until(() => isWhole(vault));
    expect(await isWhole(vault)).toBe(true);
  });

  test("a wrap that does not open never takes the place of one that does", async () => {
    const kms = remote();
    const home = await degraded(kms);
    kms.spoil = (wrapped) => wrapped.fill(1, 20);
    const vault = await openWith(home, kms);
    await expectCode(() => vault.providers.rewrap(), "ERR_DECRYPTION_FAILED");
    expect(await vault.status()).toMatchObject({ degradedDataKeys: 1 });
    expect(text((await vault.secrets.get("b")).value)).toBe("w");
  });

  test("a row that was altered gets no new MAC, and seals nothing even where its data key is open", async () => {
    const kms = remote();
    const home = await degraded(kms);
    const vault = await openWith(home, kms);
    const database = new Sqlite(`${home}/lango.db`, {});
    kms.fault = "ERR_UNAVAILABLE";
    await vault.secrets.get("b");
    kms.fault = undefined;
    database.prepare("UPDATE data_keys SET created_at = 1 WHERE degraded = 1").run();
    const altered = () => dataKeys(home).filter((row) => row.degraded === 1);
    const before = altered();
    expect(before).toHaveLength(1);
    await expectCode(() => vault.providers.rewrap(), "ERR_INTEGRITY");
    kms.fault = "ERR_UNAVAILABLE";
    await expectCode(() => vault.secrets.set("c", bytes("x")), "ERR_INTEGRITY");
    expect(altered()).toEqual(before);
    database.close();
  });

  test("an altered row gets no new MAC either when its data key is full", async () => {
    const kms = remote();
    const home = await created(kms);
    const vault = await openWith(home, kms);
    await vault.secrets.set("b", bytes("w"));
    const database = new Sqlite(`${home}/lango.db`, {});
    database.prepare("UPDATE data_keys SET created_at = 1, messages = 1073741824").run();
    database.close();
    const before = dataKeys(home);
    await expectCode(async () => {
      // As many as are reserved by now, and more.
      for (let i = 0; i < 40; i += 1) await vault.secrets.set("b", bytes("w"));
    }, "ERR_INTEGRITY");
    expect(dataKeys(home)).toEqual(before);
    await expectCode(() => vault.status(), "ERR_INTEGRITY");
  });

  test("a value on its way under the degraded data key is sealed once more", async () => {
    const kms = remote();
    const home = await degraded(kms);
    kms.fault = "ERR_UNAVAILABLE";
    const cold = await openWith(home, kms);
    await cold.secrets.set("b", bytes("w"));
    kms.fault = undefined;
    const other = await openWith(home, kms);
    await other.providers.rewrap();
    kms.fault = "ERR_UNAVAILABLE";
    // It holds reservations on the data key that the other process has just taken out of use.
    expect(await cold.secrets.set("b", bytes("w2"))).toMatchObject({ degraded: true });
    expect(text((await cold.secrets.get("b")).value)).toBe("w2");
    expect(await cold.status()).toMatchObject({ degradedDataKeys: 1 });
    expect(await eventsOf(cold, "provider.fallback")).toHaveLength(3);
  });

  test("rewrap, twice at once: each data key once, and the log says so once", async () => {
    const kms = remote();
    const home = await degraded(kms);
    const vault = await openWith(home, kms);
    const other = await openWith(home, kms);
    const done: unknown[] = [];
    const results = await Promise.all([
      vault.providers.rewrap({ onProgress: (progress) => done.push(progress) }),
      other.providers.rewrap(),
    ]);
    expect(results.reduce((sum, { rewrapped }) => sum + rewrapped, 0)).toBe(1);
    expect(done).toEqual([{ done: 1, total: 1 }]);
    expect(await eventsOf(vault, "provider.rewrap")).toHaveLength(1);
    expect(await vault.providers.rewrap()).toEqual({ rewrapped: 0 });
  });

  test("rewrap says what failed, after the others were done", async () => {
    const kms = remote();
    const gcp = remote("gcp-kms");
    const home = await created(kms);
    const providers = { "aws-kms": kms.provider, "gcp-kms": gcp.provider };
    const vault = await reopen(home, { providers, fallbackToLocal: true });
    await vault.keys.create({ name: "zz", type: "encryption", uri: "gcp-kms:k1" });
    kms.fault = "ERR_UNAVAILABLE";
    gcp.fault = "ERR_UNAVAILABLE";
    await vault.close();
    const cold = await reopen(home, { providers, fallbackToLocal: true });
    await cold.secrets.set("b", bytes("w"));
    await cold.secrets.set("c", bytes("x"), { key: "zz" });
    expect(await cold.status()).toMatchObject({ degradedDataKeys: 2 });
    gcp.fault = undefined;
    await expectCode(() => cold.providers.rewrap(), "ERR_UNAVAILABLE");
    expect(await cold.status()).toMatchObject({ degradedDataKeys: 1 });
    const reason = new CryptoError("ERR_CLOSED", "no more");
    await expect(cold.providers.rewrap({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    kms.fault = undefined;
    expect(await cold.providers.rewrap()).toEqual({ rewrapped: 1 });
  });
});

const sealedOf = (home: string): unknown[] => {
  const database = new Sqlite(`${home}/lango.db`, {});
  try {
    return database
      .prepare(
        "SELECT secret_id, version, data_key_id, sealed FROM secret_versions ORDER BY created_at, rowid",
      )
      .all();
  } finally {
    database.close();
  }
};
