import type { CryptoProvider } from "@lango/crypto-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { configSchema } from "../src/config.ts";
import { toAzureKvError } from "../src/errors.ts";
import { loadClient } from "../src/sdk.ts";
import { parseVaultUrl } from "../src/vault-url.ts";
import {
  codeOf,
  createKeys,
  credentialOf,
  pipeline,
  providerOf,
  seen,
  standInHere,
} from "./set-up.ts";
import type { StandIn } from "./stand-in/server.ts";

let standIn: StandIn;
let provider: CryptoProvider;
const message = new TextEncoder().encode("a message of some bytes");

beforeAll(async () => {
  standIn = await standInHere();
  provider = providerOf(standIn);
  await createKeys(provider, ["p256"]);
});
afterAll(() => standIn.stop());

describe("trap 2c.11: hosts", () => {
  test.each([
    ["https://a-1.vault.azure.net", false, undefined],
    ["https://a.vault.azure.net/", false, undefined],
    ["https://a.managedhsm.azure.net", true, undefined],
    ["https://A.vault.azure.cn", false, "https://login.chinacloudapi.cn"],
    ["https://a.managedhsm.azure.cn", true, "https://login.chinacloudapi.cn"],
    ["https://a.vault.usgovcloudapi.net", false, "https://login.microsoftonline.us"],
    ["https://a.managedhsm.usgovcloudapi.net", true, "https://login.microsoftonline.us"],
  ])("%s", (vaultUrl, managedHsm, authorityHost) => {
    expect(parseVaultUrl(vaultUrl)).toMatchObject({ managedHsm, authorityHost, loopback: false });
    expect(configSchema.parse({ vaultUrl })).toEqual({ vaultUrl });
  });

  test.each([
    "http://a.vault.azure.net",
    "https://vault.azure.net",
    "https://a.b.vault.azure.net",
    "https://a.vault.azure.net.evil.example",
    "https://evil.example/.vault.azure.net",
    "https://evil.example#.vault.azure.net",
    "https://user@a.vault.azure.net",
    "https://a.vault.azure.net:8443",
    "https://a.vault.azure.net/keys",
    "https://a.vault.azure.net?x",
    "https://avault.azure.net",
    "https://a.blob.azure.net",
    "https://a.vault.azure.org",
    "https://127.0.0.1:8443",
    "https://localhost",
    "vault",
    "",
  ])("%s is refused", (vaultUrl) => {
    expect(() => parseVaultUrl(vaultUrl)).toThrow(expect.objectContaining({ code: "ERR_CONFIG" }));
    expect(() => configSchema.parse({ vaultUrl })).toThrow(
      expect.objectContaining({ code: "ERR_CONFIG" }),
    );
  });

  test("nothing but the origin is taken on the loopback address either", () => {
    for (const rest of ["/x", "?x", "#x", "/keys/"]) {
      expect(() => parseVaultUrl(`https://127.0.0.1:1${rest}`, true)).toThrow(/nothing after it/);
    }
    for (const url of ["https://user@127.0.0.1:1", "http://127.0.0.1:1", "https://127.1"]) {
      expect(() => parseVaultUrl(url, true)).toThrow(/nothing after it/);
    }
  });

  test("a key of another host is ERR_KEY_NOT_FOUND without a request; one without form an argument", async () => {
    const requests = await seen(standIn, async () => {
      for (const keyId of [
        "https://other.vault.azure.net/keys/p256",
        "https://127.0.0.1:1/keys/p256",
        `${standIn.url}.evil.example/keys/p256`,
      ]) {
        expect(await codeOf(provider.sign!({ keyId, message }))).toBe("ERR_KEY_NOT_FOUND");
      }
      for (const keyId of [
        "a b",
        "../p256",
        "p256/v/x",
        "p256/",
        "https://",
        `${standIn.url}/secrets/p256`,
        `${standIn.url}/keys/p256?x`,
        `http://${new URL(standIn.url).host}/keys/p256`,
      ]) {
        expect(await codeOf(provider.sign!({ keyId, message }))).toBe("ERR_INVALID_ARGUMENT");
      }
    });
    expect(requests).toEqual([]);
  });

  test("all three forms of an id are one key, whose canonical id is its URL", async () => {
    const keyId = `${standIn.url}/keys/p256`;
    const { keyVersion } = await provider.describeKey({ keyId });
    for (const form of [
      "p256",
      "P256",
      `p256/${keyVersion}`,
      keyId,
      `${keyId}/${keyVersion}`,
      keyId.toUpperCase().replace("HTTPS", "https").replace("KEYS", "keys"),
    ]) {
      expect(await provider.describeKey({ keyId: form })).toMatchObject({ keyVersion });
    }
    expect((await provider.sign!({ keyId: `p256/${keyVersion}`, message })).keyId).toBe(keyId);
  });

  test("away from the loopback address the SDK checks whose challenge it answers", async () => {
    const vault = { ...parseVaultUrl(standIn.url, true), loopback: false };
    const client = await loadClient({
      vault,
      credential: credentialOf(standIn),
      pipeline: pipeline(),
    });
    const error: unknown = await client.keys.getKey("p256", {}).catch((reason: unknown) => reason);
    expect(String(error)).toContain("challenge resource");
    expect(toAzureKvError(error, "sign").code).toBe("ERR_ACCESS_DENIED");
  });
});

test("trap 2c.12: the current version is the newest that is enabled, by its time and not by its name", async () => {
  await provider.createKey!({ keyId: "many", algorithm: "ecdsa-p256", usage: "signing" });
  for (let each = 0; each < 7; each++) await provider.rotateKey!({ keyId: "many" });
  const versions = standIn.store.versions("many");
  versions.forEach((each, index) => {
    standIn.store.update("many", each.version, { attributes: { created: 1000 + index } });
  });
  const disable = (index: number) =>
    standIn.store.update("many", versions[index]!.version, { attributes: { enabled: false } });
  disable(7);
  disable(6);
  const fresh = providerOf(standIn);
  expect((await fresh.describeKey({ keyId: "many" })).keyVersion).toBe(versions[5]!.version);
  expect((await fresh.sign!({ keyId: "many", message })).keyVersion).toBe(versions[5]!.version);
  const listed = [];
  for await (const key of fresh.listKeys!({})) if (key.keyId.endsWith("/many")) listed.push(key);
  expect(listed).toMatchObject([{ keyVersion: versions[5]!.version, state: "enabled" }]);
  // Who may not list versions is told that the newest is disabled.
  standIn.inject({
    path: /\/many\/versions$/,
    answer: {
      status: 403,
      body: { error: { code: "Forbidden", message: "", innererror: { code: "ForbiddenByRbac" } } },
    },
  });
  expect(await fresh.describeKey({ keyId: "many" })).toMatchObject({
    state: "disabled",
    keyVersion: versions[7]!.version,
  });
});

test("trap 2c.13: the name of a deleted key is taken until it is purged; one in use gets no second version", async () => {
  const request = { keyId: "gone", algorithm: "ecdsa-p256", usage: "signing" } as const;
  await provider.createKey!(request);
  expect(await codeOf(provider.createKey!(request))).toBe("ERR_CONFLICT");
  expect(standIn.store.versions("gone")).toHaveLength(1);
  standIn.store.delete("gone");
  const error = await provider.createKey!(request).catch((reason: unknown) => reason);
  expect(error).toMatchObject({
    code: "ERR_CONFLICT",
    context: { hint: expect.stringContaining("purged") },
  });
  standIn.store.purge("gone");
  expect(await provider.createKey!(request)).toMatchObject({ algorithm: "ecdsa-p256" });
});
