import {
  CryptoError,
  type CryptoProvider,
  type RewrapKeyRequest,
  type WrapKeyResult,
} from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import type { Vault } from "../src/index.ts";
import { bytes, expectCode, makeVault, newHome, PASSPHRASE, reopen, text } from "./helpers.ts";
import { countOf, type Remote, remote } from "./rig/remote.ts";
import { Sqlite } from "./sqlite.ts";

type Rewrap = (request: RewrapKeyRequest) => Promise<WrapKeyResult>;

const rowsOf = (home: string, statement = "SELECT * FROM data_keys ORDER BY id"): unknown[] => {
  const database = new Sqlite(`${home}/lango.db`, {});
  try {
    return database.prepare(statement).all();
  } finally {
    database.close();
  }
};

interface Setting {
  readonly aws: Remote;
  readonly vault: Vault;
  open(provider?: CryptoProvider): Promise<Vault>;
}

/** A vault under `aws-kms:k1` with two data keys, and nobody has them open. */
const setting = async (aws: Remote = remote()): Promise<Setting> => {
  const home = newHome();
  const defaultKey = { uri: "aws-kms:k1", provider: aws.provider };
  const first = await makeVault(home, PASSPHRASE, { defaultKey });
  await first.secrets.set("a", bytes("v"));
  // The next write needs another data key.
  rowsOf(home, "UPDATE data_keys SET messages = 1073741824 RETURNING id");
  await first.close();
  const open: Setting["open"] = (provider = aws.provider) =>
    reopen(home, { providers: { "aws-kms": provider }, fallbackToLocal: true });
  const second = await open();
  await second.secrets.set("b", bytes("w"));
  await second.close();
  const vault = await open();
  aws.calls.length = 0;
  return { aws, vault, open };
};

const checkReads = async (vault: Vault): Promise<void> => {
  expect(text((await vault.secrets.get("a")).value)).toBe("v");
  expect(text((await vault.secrets.get("b")).value)).toBe("w");
  expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
};

const PROOF = ["wrapKey", "unwrapKey"] as const;
const REWRAP_PROOF = ["wrapKey", "rewrapKey", "rewrapKey", "unwrapKey"] as const;

describe("between keys of one provider", () => {
  test("a migration unwraps no data key: it is moved there, and the new wrap opened there", async () => {
    const { aws, vault, open } = await setting();
    const unwrapped: string[] = [];
    const { unwrapKey } = aws.provider;
    aws.provider.unwrapKey = async (request) => {
      unwrapped.push(request.keyId);
      return unwrapKey!(request);
    };
    const migrated = await vault.providers.migrate({ to: "aws-kms:k2" });
    expect(migrated).toMatchObject({ dataKeys: 2, key: { uri: "aws-kms:k2" } });
    const moves = Array.from({ length: 4 }, () => "rewrapKey");
    expect(aws.calls).toEqual(["describeKey", ...PROOF, ...REWRAP_PROOF, ...moves]);
    // Both are proofs with random bytes: the old key opens nothing for this process.
    expect(unwrapped).toEqual(["k2", "k2"]);
    expect((await vault.status()).dataKeys).toEqual([{ uri: "aws-kms:k2", count: 2, degraded: 0 }]);
    await checkReads(await open());
  });

  test("rewrap({ all }) moves them to the current version", async () => {
    const { aws, vault, open } = await setting();
    await vault.keys.rotate("default");
    aws.calls.length = 0;
    expect(await vault.providers.rewrap({ all: true })).toEqual({ rewrapped: 2 });
    const moves = Array.from({ length: 4 }, () => "rewrapKey");
    expect(aws.calls).toEqual(["describeKey", ...REWRAP_PROOF, ...moves]);
    expect(rowsOf(vault.home)).toMatchObject([{ wrap_version: "2" }, { wrap_version: "2" }]);
    aws.calls.length = 0;
    expect(await vault.providers.rewrap({ all: true })).toEqual({ rewrapped: 0 });
    expect(aws.calls).toEqual(["describeKey"]);
    await checkReads(await open());
  });

  test("what the fallback sealed is wrapped as ever: the provider has never had it", async () => {
    const { aws, vault, open } = await setting();
    aws.fault = "ERR_UNAVAILABLE";
    await vault.secrets.set("c", bytes("x"));
    aws.fault = undefined;
    aws.calls.length = 0;
    expect(await vault.providers.rewrap()).toEqual({ rewrapped: 1 });
    expect(aws.calls).toEqual(PROOF);
    aws.fault = "ERR_UNAVAILABLE";
    const cold = await open();
    await cold.secrets.set("d", bytes("y"));
    aws.fault = undefined;
    aws.calls.length = 0;
    await cold.providers.migrate({ to: "aws-kms:k3" });
    // The proofs, three data keys that the provider had, and one that it had not.
    expect(countOf(aws, "rewrapKey")).toBe(2 + 2 * 3);
    expect(countOf(aws, "unwrapKey")).toBe(2 + 1);
    expect(await cold.status()).toMatchObject({ degradedDataKeys: 0 });
    const again = await open();
    expect(text((await again.secrets.get("c")).value)).toBe("x");
    expect(text((await again.secrets.get("d")).value)).toBe("y");
    await checkReads(again);
  });
});

describe("data keys are unwrapped here and wrapped again", () => {
  const without = ({ rewrapKey: _, ...provider }: CryptoProvider): CryptoProvider => provider;
  const unlisted = (provider: CryptoProvider): CryptoProvider => {
    const { operations } = provider.capabilities;
    const others = operations.filter((operation) => operation !== "rewrapKey");
    return { ...provider, capabilities: { ...provider.capabilities, operations: others } };
  };
  const CASES: readonly [string, Remote, (provider: CryptoProvider) => CryptoProvider][] = [
    ["has no rewrapKey", remote(), without],
    ["does not list it", remote(), unlisted],
    ["binds no AAD", remote("aws-kms", { wrapAad: false }), (provider) => provider],
  ];
  test.each(CASES)("where the provider %s", async (_what, aws, change) => {
    const { open } = await setting(aws);
    const vault = await open(change(aws.provider));
    await vault.providers.migrate({ to: "aws-kms:k2" });
    await vault.keys.rotate("default");
    expect(await vault.providers.rewrap({ all: true })).toEqual({ rewrapped: 2 });
    expect(countOf(aws, "rewrapKey")).toBe(0);
    // One proof, and twice two data keys, each unwrapped and then proven.
    expect(countOf(aws, "unwrapKey")).toBe(1 + 2 * 2 * 2);
    await checkReads(await open());
  });
});

describe("a provider whose rewrapKey", () => {
  /** From the nth call on, which begins a data key or a proof at an odd one. */
  const from = (nth: number, fault: (honest: Rewrap) => Rewrap) => (honest: Rewrap) => {
    let calls = 0;
    const faulty = fault(honest);
    return (request: RewrapKeyRequest) => {
      calls += 1;
      return calls < nth ? honest(request) : faulty(request);
    };
  };
  const spoilt = (honest: Rewrap) => async (request: RewrapKeyRequest) => {
    const result = await honest(request);
    result.wrappedKey.fill(1, 20);
    return result;
  };
  const named = (honest: Rewrap) => async (request: RewrapKeyRequest) => ({
    ...(await honest(request)),
    keyId: "k3",
  });
  const degraded = (honest: Rewrap) => async (request: RewrapKeyRequest) => ({
    ...(await honest(request)),
    degraded: true as const,
  });
  const denied = () => async (): Promise<never> => {
    throw new CryptoError("ERR_ACCESS_DENIED", "aws-kms says no");
  };
  /** Wraps something else, and opens it again without a word. */
  const wrapping = (provider: CryptoProvider, withAad: boolean) => () => {
    return async ({ toKeyId, aad }: RewrapKeyRequest) =>
      provider.wrapKey!({
        keyId: toKeyId,
        key: bytes("k".repeat(32)),
        ...(withAad && { aad }),
      });
  };

  const FAULTS: readonly [
    string,
    (provider: CryptoProvider) => (honest: Rewrap) => Rewrap,
    string,
  ][] = [
    ["may not be used", () => denied, "ERR_ACCESS_DENIED"],
    ["is refused half-way", () => from(5, denied), "ERR_ACCESS_DENIED"],
    ["gives what does not open", () => spoilt, "ERR_DECRYPTION_FAILED"],
    ["gives what does not open half-way", () => from(5, spoilt), "ERR_DECRYPTION_FAILED"],
    ["names another key", () => from(3, named), "ERR_INTEGRITY"],
    ["says that a fallback did it", () => from(3, degraded), "ERR_INTEGRITY"],
    ["wraps another key", (provider) => wrapping(provider, true), "ERR_INTEGRITY"],
    ["drops the AAD", (provider) => wrapping(provider, false), "ERR_DECRYPTION_FAILED"],
  ];
  test.each(FAULTS)("%s ends the migration, and changes nothing", async (_what, fault, code) => {
    const { aws, open } = await setting();
    const honest = aws.provider.rewrapKey!.bind(aws.provider);
    const vault = await open({ ...aws.provider, rewrapKey: fault(aws.provider)(honest) });
    const before = rowsOf(vault.home);
    await expectCode(() => vault.providers.migrate({ to: "aws-kms:k2" }), code);
    expect(rowsOf(vault.home)).toEqual(before);
    expect((await vault.status()).dataKeys).toMatchObject([{ uri: "aws-kms:k1", count: 2 }]);
    // No data key was unwrapped instead: two proofs at most.
    expect(countOf(aws, "unwrapKey")).toBeLessThanOrEqual(2);
    await checkReads(await open());
  });

  test("is given up ends with the reason of the signal, and changes nothing", async () => {
    const { aws, vault, open } = await setting();
    const before = rowsOf(vault.home);
    for (const nth of [1, 2, 3, 6]) {
      const controller = new AbortController();
      const reason = new Error(`given up at rewrapKey ${nth}`);
      aws.calls.length = 0;
      aws.before = () => void (countOf(aws, "rewrapKey") === nth && controller.abort(reason));
      const options = { to: "aws-kms:k2", signal: controller.signal };
      await expect(vault.providers.migrate(options)).rejects.toBe(reason);
    }
    aws.before = undefined;
    expect(rowsOf(vault.home)).toEqual(before);
    await checkReads(await open());
  });

  test("is late does not undo a migration of another lango", async () => {
    const { aws, vault, open } = await setting();
    const other = await open();
    await vault.keys.rotate("default");
    let calls = 0;
    aws.before = async (operation) => {
      if (operation !== "rewrapKey") return;
      calls += 1;
      // The first after the proof.
      if (calls === 3) await other.providers.migrate({ to: "local:default" });
    };
    expect(await vault.providers.rewrap({ all: true })).toMatchObject({ rewrapped: 0 });
    expect((await vault.status()).dataKeys).toMatchObject([{ uri: "vault:wrap", count: 2 }]);
    await checkReads(await open());
  });
});

test("the local keys' rewrapKey has a row for both keys, and none that was put away seals", async () => {
  const aws = remote();
  const home = newHome();
  await makeVault(home);
  const vault = await reopen(home, { providers: { "aws-kms": aws.provider } });
  await vault.keys.create({ name: "team", type: "encryption" });
  const local = vault.keys.provider();
  const key = bytes("k".repeat(32));
  const { wrappedKey } = await local.wrapKey!({ keyId: "default", key });
  const there = { keyId: "default", toKeyId: "team", wrappedKey };
  const moved = await local.rewrapKey!(there);
  expect(await local.unwrapKey!(moved)).toEqual(key);
  const uses = (await vault.audit.tail(20)).filter(({ action }) => action === "key.rewrapKey");
  expect(uses.map(({ target, outcome }) => [target, outcome])).toEqual([
    ["local:default", "success"],
    ["local:team", "success"],
  ]);
  await vault.providers.migrate({ key: "team", to: "aws-kms:k1" });
  await expectCode(() => local.rewrapKey!(there), "ERR_KEY_DISABLED");
  const back = { keyId: "team", toKeyId: "default", wrappedKey: moved.wrappedKey };
  expect(await local.unwrapKey!(await local.rewrapKey!(back))).toEqual(key);
  expect((await vault.audit.tail(20)).filter(({ outcome }) => outcome === "failure")).toMatchObject(
    [{ action: "key.rewrapKey", target: "local:default", code: "ERR_KEY_DISABLED" }],
  );
});
