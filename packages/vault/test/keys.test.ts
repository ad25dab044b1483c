import { createPublicKey, verify } from "node:crypto";
import { createLocalProvider } from "@lango/crypto-local";
import { describe, expect, test } from "vitest";
import { bytes, expectCode, makeVault, newHome, reopen, text } from "./helpers.ts";

describe("the registry", () => {
  test("creates keys of every local algorithm, with the seed's defaults", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    expect(await vault.keys.create({ name: "e", type: "encryption" })).toMatchObject({
      uri: "local:e",
      algorithm: "aes-256-gcm",
      keyVersion: "1",
      state: "enabled",
    });
    expect(await vault.keys.create({ name: "s", type: "signing" })).toMatchObject({
      algorithm: "hmac-sha256",
    });
    for (const algorithm of ["ecdsa-p256", "ecdsa-p384", "secp256k1", "ed25519"] as const) {
      await vault.keys.create({ name: algorithm, type: "signing", algorithm });
      const { spki } = await vault.keys.publicKey(algorithm);
      expect(createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" }).type).toBe(
        "public",
      );
    }
    expect((await vault.keys.list()).map(({ name }) => name)).toEqual([
      "default",
      "e",
      "ecdsa-p256",
      "ecdsa-p384",
      "ed25519",
      "s",
      "secp256k1",
    ]);
    await expectCode(() => vault.keys.publicKey("e"), "ERR_KEY_USAGE");
    await expectCode(() => vault.keys.publicKey("none"), "ERR_KEY_NOT_FOUND");
    await expectCode(() => vault.keys.describe("local:none"), "ERR_KEY_NOT_FOUND");
    expect(await vault.audit.verify({ rows: true })).toMatchObject({ ok: true });
  });

  test("refuses bad names, taken names, wrong types and algorithms", async () => {
    const vault = await makeVault(newHome());
    const rows = (await vault.audit.verify()).rows;
    for (const name of ["", "a/b", "a b", "a..b", "x".repeat(257)]) {
      await expectCode(() => vault.keys.create({ name, type: "signing" }), "ERR_INVALID_ARGUMENT");
    }
    const taken = await expectCode(
      () => vault.keys.create({ name: "default", type: "encryption" }),
      "ERR_CONFLICT",
    );
    expect(taken.message).toBe("There is a key default already");
    await expectCode(
      () => vault.keys.create({ name: "a", type: "encryption", algorithm: "ed25519" }),
      "ERR_INVALID_ARGUMENT",
    );
    await expectCode(
      () => vault.keys.create({ name: "a", type: "signing", algorithm: "rsa-2048" }),
      "ERR_UNSUPPORTED",
    );
    await expectCode(
      () => vault.keys.create({ name: "a", type: "x" as never }),
      "ERR_INVALID_ARGUMENT",
    );
    await expectCode(
      () => vault.keys.create({ name: "a", type: "encryption", uri: "aws-kms:arn:x" }),
      "ERR_KEY_NOT_FOUND",
    );
    await expectCode(
      () => vault.keys.create({ name: "a", type: "encryption", uri: "local:b" }),
      "ERR_INVALID_ARGUMENT",
    );
    // What was wrong in itself leaves no row, what the vault refused does.
    const events = await vault.audit.tail((await vault.audit.verify()).rows - rows);
    expect(events.map(({ action, target, code }) => [action, target, code])).toEqual([
      ["key.create", "local:default", "ERR_CONFLICT"],
      ["key.register", undefined, "ERR_KEY_NOT_FOUND"],
    ]);
    expect(await vault.keys.list()).toHaveLength(1);
  });
});

test("what is no key name is refused in one line and stays out of the log", async () => {
  const vault = await makeVault(newHome());
  for (const name of ["", "a\nb", "local:a\nb", "local:a/b", "x".repeat(300), 5, null]) {
    await expectCode(() => vault.keys.describe(name as string), "ERR_INVALID_ARGUMENT");
  }
  const keyId = "made up \ud800";
  await expectCode(
    () => vault.keys.provider().encrypt({ keyId, plaintext: bytes("x") }),
    "ERR_KEY_NOT_FOUND",
  );
  expect(await vault.audit.tail(1)).toMatchObject([
    { action: "key.encrypt", target: undefined, code: "ERR_KEY_NOT_FOUND" },
  ]);
});

describe("the provider", () => {
  test("encrypts, signs and MACs with keys of the registry, after opening again too", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    await vault.keys.create({ name: "sig", type: "signing", algorithm: "ecdsa-p256" });
    await vault.keys.create({ name: "mac", type: "signing" });
    const local = vault.keys.provider();
    const message = bytes("hello");
    const { ciphertext } = await local.encrypt({
      keyId: "default",
      plaintext: message,
      aad: bytes("x"),
    });
    const { signature } = await local.sign!({ keyId: "sig", message });
    const { mac } = await local.mac!({ keyId: "mac", message });
    await vault.close();

    const again = await reopen(home);
    const provider = again.keys.provider();
    expect(text(await provider.decrypt({ keyId: "default", ciphertext, aad: bytes("x") }))).toBe(
      "hello",
    );
    expect(await provider.verifyMac!({ keyId: "mac", message, mac })).toBe(true);
    const { spki } = await again.keys.publicKey("sig");
    const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
    expect(verify("sha256", message, { key, dsaEncoding: "ieee-p1363" }, signature)).toBe(true);
    expect((await again.keys.describe("mac")).lastUsedAt).toBeGreaterThan(0);
  });

  test("leaves a row for each use, also for one that fails", async () => {
    const vault = await makeVault(newHome());
    const local = vault.keys.provider();
    const { ciphertext } = await local.encrypt({ keyId: "default", plaintext: bytes("x") });
    ciphertext[20] = (ciphertext[20] ?? 0) ^ 1;
    await expectCode(
      () => local.decrypt({ keyId: "default", ciphertext }),
      "ERR_DECRYPTION_FAILED",
    );
    await expectCode(
      () => local.sign!({ keyId: "none", message: bytes("x") }),
      "ERR_KEY_NOT_FOUND",
    );
    expect(
      (await vault.audit.tail(3)).map(({ action, target, code }) => [action, target, code]),
    ).toEqual([
      ["key.encrypt", "local:default", undefined],
      ["key.decrypt", "local:default", "ERR_DECRYPTION_FAILED"],
      ["key.sign", undefined, "ERR_KEY_NOT_FOUND"],
    ]);
  });

  test("rotates: the new version encrypts, the old one still decrypts", async () => {
    const home = newHome();
    const vault = await makeVault(home);
    const local = vault.keys.provider();
    const old = await local.encrypt({ keyId: "default", plaintext: bytes("old") });
    for (let version = 2; version <= 11; version += 1) {
      expect((await local.rotateKey!({ keyId: "default" })).keyVersion).toBe(String(version));
    }
    const fresh = await local.encrypt({ keyId: "default", plaintext: bytes("new") });
    expect([old.keyVersion, fresh.keyVersion]).toEqual(["1", "11"]);
    await vault.close();
    const again = await reopen(home);
    const provider = again.keys.provider();
    expect(text(await provider.decrypt({ keyId: "default", ciphertext: old.ciphertext }))).toBe(
      "old",
    );
    expect(text(await provider.decrypt({ keyId: "default", ciphertext: fresh.ciphertext }))).toBe(
      "new",
    );
    expect((await again.keys.describe("default")).keyVersion).toBe("11");
    expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true });
  });
});

describe("keys of other providers", () => {
  const remote = async () => {
    // A real provider under another name: what matters here is that its key, and no other, wraps the data key.
    const provider = createLocalProvider();
    await provider.createKey!({ keyId: "k1", algorithm: "aes-256-gcm", usage: "encryption" });
    let unwraps = 0;
    return {
      unwraps: () => unwraps,
      provider: {
        ...provider,
        name: "other",
        unwrapKey: (request: Parameters<NonNullable<typeof provider.unwrapKey>>[0]) => {
          unwraps += 1;
          return provider.unwrapKey!(request);
        },
      },
    };
  };

  test("have one name each, and no name of another key", async () => {
    const home = newHome();
    await (await makeVault(home)).close();
    const { provider } = await remote();
    const vault = await reopen(home, { providers: { other: provider } });
    const register = (name: string) =>
      vault.keys.create({ name, type: "encryption", uri: "other:k1" });
    const message = async (name: string): Promise<string> =>
      (await expectCode(() => register(name), "ERR_CONFLICT")).message;
    await register("cloud");
    expect(await message("second")).toBe("Key other:k1 is registered as cloud already");
    expect(await message("default")).toBe("There is a key default already");
    expect(await vault.audit.tail(2)).toMatchObject([
      { action: "key.register", target: "second", code: "ERR_CONFLICT" },
      { action: "key.register", target: "default", code: "ERR_CONFLICT" },
    ]);
  });

  test("seal secrets; without the provider they stay closed, with it one unwrap opens all", async () => {
    const home = newHome();
    await (await makeVault(home)).close();
    const { provider, unwraps } = await remote();
    const vault = await reopen(home, { providers: { other: provider } });
    expect(
      await vault.keys.create({ name: "cloud", type: "encryption", uri: "other:k1" }),
    ).toMatchObject({
      uri: "other:k1",
      provider: "other",
    });
    for (let i = 0; i < 20; i += 1)
      await vault.secrets.set(`s${i}`, bytes(`v${i}`), { key: "cloud" });
    expect((await vault.secrets.list())[0]).toMatchObject({ key: "other:k1" });
    await vault.close();

    const without = await reopen(home);
    await expectCode(() => without.secrets.get("s1"), "ERR_KEY_NOT_FOUND");
    await expectCode(() => without.secrets.set("s1", bytes("x")), "ERR_KEY_NOT_FOUND");
    await without.secrets.set("local", bytes("x"));
    await without.close();

    const before = unwraps();
    const again = await reopen(home, { providers: { other: provider } });
    const values = await Promise.all(
      Array.from({ length: 20 }, (_, i) => again.secrets.get(`s${i}`)),
    );
    expect(values.map(({ value }) => text(value))).toEqual(
      Array.from({ length: 20 }, (_, i) => `v${i}`),
    );
    expect(unwraps() - before).toBe(1);
    expect(await again.audit.verify({ rows: true })).toMatchObject({ ok: true });
  });
});
