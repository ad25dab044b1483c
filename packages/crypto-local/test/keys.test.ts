import { createPublicKey, createSecretKey, generateKeyPairSync, hkdfSync } from "node:crypto";
import { createAesKey, ECDSA_CURVES, normalizeLowS, openAesGcm } from "@lango/crypto-core";
import { expect, test } from "vitest";
import {
  createLocalProvider,
  createMemoryKeySource,
  generateKeyMaterial,
  importKeyMaterial,
  type KeySource,
  type LocalKey,
  type LocalKeyAlgorithm,
} from "../src/index.ts";

const ECDSA = ["ecdsa-p256", "ecdsa-p384", "secp256k1"] as const;
const aes = (id: string, ...versions: Partial<LocalKey["versions"][number]>[]): LocalKey => ({
  id,
  algorithm: "aes-256-gcm",
  versions: versions.map((each, index) => ({
    version: index + 1,
    material: new Uint8Array(32).fill(index),
    ...each,
  })),
});

test.each(ECDSA)("%s: a raw scalar becomes the key that it is", (algorithm) => {
  const material = generateKeyMaterial(algorithm);
  const jwk = importKeyMaterial(algorithm, material).export({ format: "jwk" });
  expect(Buffer.from(jwk.d!, "base64url")).toEqual(Buffer.from(material));
});

test.each(ECDSA)("%s: only 1 to the order − 1 is a scalar", (algorithm) => {
  const { order, scalarBytes } = ECDSA_CURVES[algorithm];
  const scalar = (value: bigint) =>
    Buffer.from(value.toString(16).padStart(2 * scalarBytes, "0"), "hex");
  for (const value of [1n, order - 1n]) {
    expect(importKeyMaterial(algorithm, scalar(value)).type).toBe("private");
  }
  for (const value of [0n, order, order + 1n]) {
    expect(() => importKeyMaterial(algorithm, scalar(value))).toThrow("1 to the curve's order − 1");
  }
});

test.each([
  ["aes-256-gcm", 16],
  ["hmac-sha512", 32],
  ["ecdsa-p384", 32],
  ["ed25519", 64],
] as [LocalKeyAlgorithm, number][])("%s: a secret of %i bytes is refused", (algorithm, length) => {
  const call = () => importKeyMaterial(algorithm, new Uint8Array(length).fill(1));
  expect(call).toThrow(expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }));
});

test("a key object has to be a secret or private key of the algorithm", () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const ed25519 = generateKeyPairSync("ed25519").privateKey;
  expect(importKeyMaterial("ecdsa-p256", privateKey)).toBe(privateKey);
  expect(importKeyMaterial("ed25519", ed25519)).toBe(ed25519);
  expect(() => importKeyMaterial("secp256k1", privateKey)).toThrow("no secp256k1 key");
  expect(() => importKeyMaterial("ecdsa-p256", createPublicKey(privateKey))).toThrow();
  expect(() => importKeyMaterial("aes-256-gcm", createSecretKey(Buffer.alloc(16)))).toThrow();
  expect(() => importKeyMaterial("aes-256-gcm", ed25519)).toThrow();
});

test("the caller may zero the secrets that it handed over", async () => {
  const material = generateKeyMaterial("aes-256-gcm");
  const keys = [aes("k", { material })];
  const provider = createLocalProvider({ keys });
  const same = createLocalProvider({ keys });
  material.fill(0);
  const { ciphertext } = await provider.encrypt({ keyId: "k", plaintext: Uint8Array.of(7) });
  expect(await same.decrypt({ keyId: "k", ciphertext })).toEqual(Uint8Array.of(7));
});

test("the ciphertext has the documented layout", async () => {
  const material = new Uint8Array(32).fill(5);
  const provider = createLocalProvider({ keys: [aes("k", { version: 0x01020304, material })] });
  const aad = Uint8Array.of(9, 9);
  const { ciphertext } = await provider.encrypt({
    keyId: "k",
    plaintext: Buffer.from("hello"),
    aad,
  });
  expect([...ciphertext.subarray(0, 5)]).toEqual([1, 1, 2, 3, 4]);
  expect(ciphertext.length).toBe(5 + 33);
  const derived = hkdfSync("sha256", material, "", "lango/v1/local/encrypt", 32);
  const key = createAesKey(new Uint8Array(derived));
  const boundTo = Uint8Array.of(1, 1, 2, 3, 4, ...aad);
  const opened = openAesGcm(key, ciphertext.subarray(5, 17), boundTo, ciphertext.subarray(17));
  expect(Buffer.from(opened).toString()).toBe("hello");
});

test("the highest version is the current one; a disabled one neither seals nor opens", async () => {
  const first = createLocalProvider({ keys: [aes("k", {})] });
  const { ciphertext } = await first.encrypt({ keyId: "k", plaintext: Uint8Array.of(1) });
  const both = createLocalProvider({ keys: [aes("k", { version: 2 }, { version: 1 })] });
  expect((await both.describeKey({ keyId: "k" })).keyVersion).toBe("2");
  const retired = createLocalProvider({ keys: [aes("k", { state: "disabled" }, {})] });
  expect((await retired.encrypt({ keyId: "k", plaintext: Uint8Array.of(1) })).keyVersion).toBe("2");
  await expect(retired.decrypt({ keyId: "k", ciphertext })).rejects.toMatchObject({
    code: "ERR_KEY_DISABLED",
  });
});

test("a MAC or signature of an older version verifies with its version", async () => {
  const provider = createLocalProvider();
  const message = Uint8Array.of(1, 2, 3);
  await provider.createKey!({ keyId: "s", algorithm: "ed25519", usage: "signing" });
  const { signature, keyVersion } = await provider.sign!({ keyId: "s", message });
  await provider.rotateKey!({ keyId: "s" });
  const verify = (version?: string) =>
    provider.verify!({ keyId: "s", message, signature, keyVersion: version });
  expect(await verify(keyVersion)).toBe(true);
  expect(await verify()).toBe(false);
  await expect(verify("3")).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
});

test("secp256k1 signatures have the low s, for messages and digests", async () => {
  const provider = createLocalProvider();
  await provider.createKey!({ keyId: "k", algorithm: "secp256k1", usage: "signing" });
  for (let call = 0; call < 32; call++) {
    const bytes = new Uint8Array(32).fill(call);
    const input = call % 2 === 0 ? { message: bytes } : { digest: bytes };
    const { signature } = await provider.sign!({ keyId: "k", ...input });
    expect(signature).toEqual(normalizeLowS(signature, "secp256k1"));
  }
});

test("a key or a version that is given twice, or none, is refused", () => {
  for (const keys of [
    [aes("k", {}), aes("k", {})],
    [aes("k", { version: 1 }, { version: 1 })],
    [aes("k", { version: 0 })],
    [aes("k", { version: 2 ** 32 })],
    [aes("k")],
    [aes("", {})],
    [{ ...aes("k", {}), algorithm: "rsa-2048" } as never],
  ]) {
    expect(() => createMemoryKeySource(keys)).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }),
    );
  }
});

test("a source is asked for a secret once it is needed, and closed with the provider", async () => {
  const memory = createMemoryKeySource([aes("k", {})]);
  const seen: string[] = [];
  const source: KeySource = {
    list: memory.list,
    get: async (keyId) => {
      const record = await memory.get(keyId);
      const versions = record?.versions.map((version) => ({
        ...version,
        material: async () => {
          seen.push("material");
          return version.material();
        },
      }));
      return record && { ...record, versions: versions! };
    },
    close: () => void seen.push("close"),
  };
  const provider = createLocalProvider({ source });
  expect(provider.capabilities.operations).not.toContain("rotateKey");
  await provider.describeKey({ keyId: "k" });
  expect(seen).toEqual([]);
  await provider.encrypt({ keyId: "k", plaintext: Uint8Array.of(1) });
  await provider.close();
  await provider.close();
  expect(seen).toEqual(["material", "close"]);
});

test("a source that fails is a reason of the health report", async () => {
  const get = () => Promise.reject(new Error("disk on fire at /secret/path"));
  const provider = createLocalProvider({ source: { get, list: () => [] } });
  const { healthy, reason } = await provider.health({ keyId: "k" });
  expect([healthy, reason]).toEqual([false, "The key source failed: ERR_INTERNAL"]);
});
