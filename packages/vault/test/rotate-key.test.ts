import { createLocalProvider } from "@lango/crypto-local";
import { describe, expect, test } from "vitest";
import type { Vault } from "../src/index.ts";
import { bytes, expectCode, makeVault, newHome, PASSPHRASE, reopen, text } from "./helpers.ts";
import { countOf, type Remote, remote } from "./rig/remote.ts";

const underProvider = async (kms: Remote): Promise<Vault> => {
  const home = newHome();
  const vault = await makeVault(home, PASSPHRASE, {
    defaultKey: { uri: "aws-kms:k1", provider: kms.provider },
  });
  await vault.secrets.set("a", bytes("v"));
  return vault;
};

const rotations = async (vault: Vault) =>
  (await vault.audit.tail(100)).filter(({ action }) => action === "key.rotate");

describe("rotating a key", () => {
  test("of the vault: what older versions sealed still opens", async () => {
    const vault = await makeVault(newHome());
    const local = vault.keys.provider();
    const old = await local.encrypt({ keyId: "default", plaintext: bytes("x") });
    expect(await vault.keys.rotate("local:default")).toMatchObject({ keyVersion: "2" });
    expect(await vault.keys.rotate("default")).toMatchObject({ keyVersion: "3" });
    expect(text(await local.decrypt({ keyId: "default", ciphertext: old.ciphertext }))).toBe("x");
    const now = await local.encrypt({ keyId: "default", plaintext: bytes("x") });
    expect(now.keyVersion).toBe("3");
    expect(await rotations(vault)).toMatchObject([
      { target: "local:default", outcome: "success" },
      { target: "local:default", outcome: "success" },
    ]);
    await expectCode(() => vault.keys.rotate("none"), "ERR_KEY_NOT_FOUND");
  });

  test("of a provider, and then its data keys", async () => {
    const kms = remote();
    const vault = await underProvider(kms);
    expect(await vault.keys.rotate("default")).toMatchObject({
      uri: "aws-kms:k1",
      keyVersion: "2",
    });
    expect(await vault.keys.describe("default")).toMatchObject({ keyVersion: "2" });
    expect(text((await vault.secrets.get("a")).value)).toBe("v");
    expect(await vault.providers.rewrap()).toEqual({ rewrapped: 0 });
    expect(await vault.providers.rewrap({ all: true })).toEqual({ rewrapped: 1 });
    kms.calls.length = 0;
    expect(await vault.providers.rewrap({ all: true })).toEqual({ rewrapped: 0 });
    expect(kms.calls).toEqual(["describeKey"]);
    expect(await rotations(vault)).toMatchObject([{ target: "aws-kms:k1", outcome: "success" }]);
    await vault.close();
    const again = await reopen(vault.home, { providers: { "aws-kms": kms.provider } });
    await again.secrets.set("b", bytes("w"));
    expect(text((await again.secrets.get("a")).value)).toBe("v");
    expect((await again.status()).dataKeys).toEqual([{ uri: "aws-kms:k1", count: 1, degraded: 0 }]);
    expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true, faults: [] });
  });

  test("of a provider for signing: with its new public key", async () => {
    const provider = { ...createLocalProvider(), name: "gcp-kms" };
    await provider.createKey?.({ keyId: "s", algorithm: "ed25519", usage: "signing" });
    const home = newHome();
    await makeVault(home);
    const vault = await reopen(home, { providers: { "gcp-kms": provider } });
    await vault.keys.create({ name: "log", type: "signing", uri: "gcp-kms:s" });
    const before = await vault.keys.publicKey("log");
    expect(await vault.keys.rotate("log")).toMatchObject({ keyVersion: "2" });
    const after = await vault.keys.publicKey("log");
    expect(after.spki).not.toEqual(before.spki);
    expect(after.spki).toEqual((await provider.getPublicKey?.({ keyId: "s" }))?.publicKey);
  });

  test("fails as the provider does, and the log says so", async () => {
    const kms = remote();
    const vault = await underProvider(kms);
    kms.fault = "ERR_ACCESS_DENIED";
    await expectCode(() => vault.keys.rotate("default"), "ERR_ACCESS_DENIED");
    expect(await vault.keys.describe("default")).toMatchObject({ keyVersion: "1" });
    const { rotateKey: _, ...fixed } = kms.provider;
    const again = await reopen(vault.home, { providers: { "aws-kms": fixed } });
    await expectCode(() => again.keys.rotate("default"), "ERR_UNSUPPORTED");
    const without = await reopen(vault.home);
    await expectCode(() => without.keys.rotate("default"), "ERR_KEY_NOT_FOUND");
    expect(await rotations(vault)).toMatchObject([
      { outcome: "failure", code: "ERR_ACCESS_DENIED" },
      { outcome: "failure", code: "ERR_UNSUPPORTED" },
      { outcome: "failure", code: "ERR_KEY_NOT_FOUND" },
    ]);
  });

  test("that was put under another provider meanwhile leaves its row alone", async () => {
    const kms = remote();
    const vault = await underProvider(kms);
    const other = await reopen(vault.home, { providers: { "aws-kms": kms.provider } });
    kms.before = async (operation) => {
      if (operation !== "rotateKey" || countOf(kms, "rotateKey") > 1) return;
      await other.providers.migrate({ to: "aws-kms:k2" });
    };
    expect(await other.keys.rotate("default")).toMatchObject({
      uri: "aws-kms:k2",
      keyVersion: "1",
    });
    expect(text((await vault.secrets.get("a")).value)).toBe("v");
  });
});

describe("registering a key of a provider", () => {
  test("keeps its canonical name, and finds it under that", async () => {
    const home = newHome();
    const kms = remote("aws-kms", { aliases: { now: "k1" } });
    await makeVault(home);
    const vault = await reopen(home, { providers: { "aws-kms": kms.provider } });
    const uri = "aws-kms:now";
    expect(await vault.keys.create({ name: "kms", type: "encryption", uri })).toMatchObject({
      uri: "aws-kms:k1",
    });
    expect(await vault.keys.describe("aws-kms:k1")).toMatchObject({ name: "kms" });
    await vault.secrets.set("a", bytes("v"), { key: "kms" });
    expect(text((await vault.secrets.get("a")).value)).toBe("v");
    const taken = () => vault.keys.create({ name: "same", type: "encryption", uri: "aws-kms:k1" });
    await expectCode(taken, "ERR_CONFLICT");
  });

  test("that is disabled is refused", async () => {
    const home = newHome();
    await makeVault(home);
    const vault = await reopen(home, { providers: { "aws-kms": remote().provider } });
    const uri = "aws-kms:disabled";
    await expectCode(
      () => vault.keys.create({ name: "kms", type: "encryption", uri }),
      "ERR_KEY_DISABLED",
    );
    expect(await vault.keys.list()).toHaveLength(1);
  });
});
