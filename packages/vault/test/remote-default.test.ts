import { chmodSync, cpSync, existsSync, mkdirSync } from "node:fs";
import type { CryptoErrorCode } from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import { inspectHome, readVault, type Vault } from "../src/index.ts";
import { bytes, expectCode, makeVault, newHome, PASSPHRASE, reopen, text } from "./helpers.ts";
import { onStage } from "./on-stage.ts";
import { countOf, type Remote, remote } from "./rig/remote.ts";

const make = (home: string, { provider }: Remote, uri = "aws-kms:k1"): Promise<Vault> =>
  makeVault(home, PASSPHRASE, { defaultKey: { uri, provider } });

describe("a vault whose default key is a provider's", () => {
  test("has its data keys wrapped by that provider alone", async () => {
    const home = newHome();
    const kms = remote();
    const vault = await make(home, kms);
    await vault.secrets.set("a", bytes("v"));
    expect(await vault.keys.list()).toMatchObject([
      { name: "default", uri: "aws-kms:k1", provider: "aws-kms", keyVersion: "1" },
    ]);
    expect((await vault.status()).dataKeys).toEqual([{ uri: "aws-kms:k1", count: 1, degraded: 0 }]);
    await vault.close();

    const without = await reopen(home);
    await expectCode(() => without.secrets.get("a"), "ERR_KEY_NOT_FOUND");
    await without.close();
    const again = await reopen(home, { providers: { "aws-kms": kms.provider } });
    expect(text((await again.secrets.get("a")).value)).toBe("v");
    expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true });
    await using locked = await readVault({ home });
    expect(await locked.status()).toMatchObject({
      degraded: false,
      degradedDataKeys: 0,
      dataKeys: [{ uri: "aws-kms:k1", count: 1, degraded: 0 }],
      rootedIn: null,
    });
  });

  test("keeps the canonical name of an alias, which may stand for another key tomorrow", async () => {
    const home = newHome();
    const vault = await make(home, remote("aws-kms", { aliases: { now: "k1" } }), "aws-kms:now");
    await vault.close();
    const providers = {
      "aws-kms": remote("aws-kms", { aliases: { now: "k2" } }).provider,
    };
    const again = await reopen(home, { providers });
    expect(await again.keys.describe("default")).toMatchObject({ uri: "aws-kms:k1" });
    await again.secrets.set("a", bytes("v"));
    expect(text((await again.secrets.get("a")).value)).toBe("v");
  });

  test("works with a provider that authenticates no associated data when it wraps", async () => {
    const kms = remote("aws-kms", { wrapAad: false });
    const vault = await make(newHome(), kms);
    await vault.secrets.set("a", bytes("v"));
    expect(text((await vault.secrets.get("a")).value)).toBe("v");
  });

  const REFUSED: readonly [string, string, (kms: Remote) => void, CryptoErrorCode][] = [
    ["a key that is not there", "aws-kms:none", () => {}, "ERR_KEY_NOT_FOUND"],
    ["a key for MACs", "aws-kms:mac", () => {}, "ERR_KEY_USAGE"],
    ["a disabled key", "aws-kms:disabled", () => {}, "ERR_KEY_DISABLED"],
    ["a local key", "local:default", () => {}, "ERR_INVALID_ARGUMENT"],
    [
      "a provider that cannot be reached",
      "aws-kms:k1",
      (kms) => {
        kms.fault = "ERR_UNAVAILABLE";
      },
      "ERR_UNAVAILABLE",
    ],
    [
      "a key that may wrap and not unwrap",
      "aws-kms:k1",
      (kms) => {
        kms.fault = "ERR_ACCESS_DENIED";
        kms.faultOf = ["unwrapKey"];
      },
      "ERR_ACCESS_DENIED",
    ],
    [
      "a provider whose wraps do not open",
      "aws-kms:k1",
      (kms) => {
        kms.spoil = (wrapped) => wrapped.reverse();
      },
      "ERR_DECRYPTION_FAILED",
    ],
  ];
  test.each(REFUSED)(
    "is not made with %s, and nothing is written",
    async (...[, uri, spoil, code]) => {
      const home = newHome();
      const kms = remote();
      spoil(kms);
      await expectCode(() => make(home, kms, uri), code);
      expect(existsSync(home)).toBe(false);
    },
  );

  test("is refused a provider that wraps under another key than it was told to", async () => {
    const home = newHome();
    const kms = remote();
    const { wrapKey } = kms.provider;
    const provider = {
      ...kms.provider,
      wrapKey: async (request: Parameters<NonNullable<typeof wrapKey>>[0]) =>
        wrapKey!({ ...request, keyId: "k2" }),
    };
    await expectCode(
      () => makeVault(home, PASSPHRASE, { defaultKey: { uri: "aws-kms:k1", provider } }),
      "ERR_INTEGRITY",
    );
    expect(existsSync(home)).toBe(false);
  });

  test("is refused a provider that had another one wrap in its place", async () => {
    const home = newHome();
    const kms = remote();
    const { wrapKey } = kms.provider;
    const provider = {
      ...kms.provider,
      wrapKey: async (request: Parameters<NonNullable<typeof wrapKey>>[0]) => ({
        ...(await wrapKey!(request)),
        degraded: true as const,
      }),
    };
    await expectCode(
      () => makeVault(home, PASSPHRASE, { defaultKey: { uri: "aws-kms:k1", provider } }),
      "ERR_INTEGRITY",
    );
    expect(existsSync(home)).toBe(false);
  });

  test("is refused a provider that gives back another key than it wrapped", async () => {
    const home = newHome();
    const provider = { ...remote().provider, unwrapKey: async () => new Uint8Array(32) };
    await expectCode(
      () => makeVault(home, PASSPHRASE, { defaultKey: { uri: "aws-kms:k1", provider } }),
      "ERR_INTEGRITY",
    );
    expect(existsSync(home)).toBe(false);
  });

  test("is made anew over one that was interrupted, whatever its key was", async () => {
    const home = newHome();
    const interrupted = newHome();
    const kms = remote();
    mkdirSync(interrupted, { mode: 0o700 });
    onStage("onboard:rows", () => cpSync(home, interrupted, { recursive: true }));
    await make(home, kms);
    chmodSync(interrupted, 0o700);
    expect(await inspectHome(interrupted)).toBe("half-made");
    const vault = await make(interrupted, kms, "aws-kms:k2");
    await vault.secrets.set("a", bytes("v"));
    expect((await vault.status()).dataKeys).toEqual([{ uri: "aws-kms:k2", count: 1, degraded: 0 }]);
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
  });
});

describe("calls to the provider", () => {
  test("1,000 values: one call cold, none warm; wrapped once, when the vault is made", async () => {
    const home = newHome();
    const kms = remote();
    const vault = await make(home, kms);
    // One to try the key, one for the data key.
    expect(countOf(kms, "wrapKey")).toBe(2);
    await vault.close();
    kms.calls.length = 0;
    const again = await reopen(home, { providers: { "aws-kms": kms.provider } });
    for (let i = 0; i < 1000; i += 1) await again.secrets.set(`s${i}`, bytes(`${i}`));
    expect(kms.calls).toEqual(["unwrapKey"]);
    for (let i = 0; i < 1000; i += 1) await again.secrets.get(`s${i}`);
    expect(kms.calls).toEqual(["unwrapKey"]);
  });

  test("3,000 concurrent cold opens of one data key: exactly one", async () => {
    const home = newHome();
    const kms = remote();
    const vault = await make(home, kms);
    await vault.secrets.set("a", bytes("v"));
    await vault.close();
    kms.calls.length = 0;
    kms.before = () => new Promise((resolve) => setTimeout(resolve, 20));
    const again = await reopen(home, { providers: { "aws-kms": kms.provider } });
    const reads = Array.from({ length: 3000 }, () => again.secrets.get("a"));
    const values = (await Promise.all(reads)).map(({ value }) => text(value));
    expect(new Set(values)).toEqual(new Set(["v"]));
    expect(kms.calls).toEqual(["unwrapKey"]);
  });

  test("of a local vault: none", async () => {
    const home = newHome();
    const kms = remote();
    await (await makeVault(home)).close();
    const vault = await reopen(home, {
      providers: { "aws-kms": kms.provider },
      fallbackToLocal: true,
    });
    expect(await vault.secrets.set("a", bytes("v"))).toEqual({
      name: "a",
      version: 1,
      created: true,
    });
    await vault.secrets.get("a");
    await vault.status();
    expect(kms.calls).toEqual([]);
  });
});
