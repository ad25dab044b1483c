import { loadProvider } from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import { createGcpKmsProvider, provider } from "../src/index.ts";
import { withStandIn } from "./with-stand-in.ts";

const bench = withStandIn();
const ring = "projects/p/locations/l/keyRings/r";
const key = `${ring}/cryptoKeys/k`;
const { parse } = provider.configSchema;

test("is found by its name", async () => {
  const asked: string[] = [];
  const found = await loadProvider("gcp-kms", {
    import: (specifier) => {
      asked.push(specifier);
      return import("../src/index.ts");
    },
  });
  expect(asked).toEqual(["@lango/crypto-gcp-kms"]);
  expect(found.name).toBe("gcp-kms");
  const made = await found.create(found.configSchema.parse({ keyId: key }), {});
  expect(made.name).toBe("gcp-kms");
  await made.close();
});

describe("the configuration", () => {
  test("takes the five settings", () => {
    const config = {
      endpoint: "https://kms.example.org:8443",
      transport: "rest",
      keyId: key,
      encryptKeyId: `${key}/cryptoKeyVersions/3`,
      signKeyId: "projects/example.com:p-1/locations/global/keyRings/R_-1/cryptoKeys/K_-1",
    };
    expect(parse(config)).toEqual(config);
    expect(parse({})).toEqual({});
  });

  const wrong: readonly [unknown, RegExp][] = [
    [null, /no object/],
    ["x", /no object/],
    [[], /no object/],
    [{ credentials: "x" }, /credentials: unknown/],
    [{ keyRing: ring }, /keyRing: unknown/],
    [{ keyId: 1 }, /keyId: must be a string/],
    [{ a: 1, endpoint: 2 }, /a: unknown; endpoint: must be a string/],
    [{ transport: "http" }, /transport/],
    [{ keyId: "k" }, /keyId: must be projects/],
    [{ encryptKeyId: `${key}/cryptoKeyVersions/0` }, /encryptKeyId/],
    [{ signKeyId: `${key}/cryptoKeyVersions/latest` }, /signKeyId/],
    [{ keyId: `${key}/../k` }, /keyId/],
    [{ keyId: `${key}?x` }, /keyId/],
    [{ endpoint: "kms.example.org" }, /endpoint/],
    [{ endpoint: "http://kms.example.org" }, /endpoint/],
    [{ endpoint: "http://127.0.0.1.example.org" }, /endpoint/],
    [{ endpoint: "https://user:word@kms.example.org" }, /endpoint/],
    [{ endpoint: "https://kms.example.org/v1" }, /endpoint/],
    [{ endpoint: "ftp://kms.example.org" }, /endpoint/],
  ];
  test.each(wrong)("refuses %j", (config, message) => {
    expect(() => parse(config)).toThrow(expect.objectContaining({ code: "ERR_CONFIG" }));
    expect(() => parse(config)).toThrow(message);
  });

  test("is checked in code as well", () => {
    expect(() => createGcpKmsProvider({ keyRing: key })).toThrow(/keyRing/);
    expect(() => createGcpKmsProvider({ endpoint: "http://example.org" })).toThrow(/endpoint/);
  });

  test.each(["http://127.0.0.1:9090", "http://localhost:9090", "http://[::1]:9090"])(
    "takes %s, which does not leave the machine",
    (endpoint) => expect(parse({ endpoint })).toEqual({ endpoint }),
  );
});

describe("names of keys", () => {
  const plaintext = new Uint8Array(4);

  test("a key of another project or location is not found, without a connection", async () => {
    const created = createGcpKmsProvider({ keyId: key, endpoint: "http://127.0.0.1:1" });
    for (const keyId of [
      "projects/other/locations/l/keyRings/r/cryptoKeys/k",
      "projects/p/locations/other/keyRings/r/cryptoKeys/k",
    ]) {
      await expect(created.encrypt({ keyId, plaintext })).rejects.toMatchObject({
        code: "ERR_KEY_NOT_FOUND",
      });
    }
  });

  test.each([
    "",
    "projects/p",
    `${key}/`,
    `${key}/cryptoKeyVersions/`,
    "k%2f",
    "../k",
    `${ring}/x/k`,
  ])("%j is no name of a key", async (keyId) => {
    const call = bench.provider().encrypt({ keyId, plaintext });
    await expect(call).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    expect(bench.standIn.calls).toEqual([]);
  });

  test("a short name is one of the configured key ring, and results have the whole name", async () => {
    const created = bench.provider();
    const { keyId } = await created.createKey({
      keyId: "short",
      algorithm: "aes-256-gcm",
      usage: "encryption",
    });
    expect(keyId).toMatch(/^projects\/.+\/keyRings\/tests\/cryptoKeys\/short$/);
    expect(await created.encrypt({ keyId: "short", plaintext })).toMatchObject({ keyId });
    const named = await created.createKey({ algorithm: "hmac-sha256", usage: "mac" });
    expect(named.keyId).toMatch(/\/cryptoKeys\/lango-[0-9a-f-]{36}$/);
    for (const wrong of [`${key}`, "with.dot", "x".repeat(64), `${keyId}/cryptoKeyVersions/1`]) {
      const call = created.createKey({ keyId: wrong, algorithm: "hmac-sha256", usage: "mac" });
      await expect(call).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    }
    const rsa = created.createKey({ algorithm: "rsa-2048", usage: "encryption" });
    await expect(rsa).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
  });

  test("without a key ring there is no createKey, listKeys and random, and health says so", async () => {
    const created = createGcpKmsProvider({ endpoint: bench.standIn.grpcUrl });
    expect(created.capabilities.operations).not.toContain("createKey");
    expect([created.createKey, created.listKeys, created.random]).toEqual(Array(3).fill(undefined));
    expect(await created.health({})).toMatchObject({ healthy: false });
    expect(await bench.provider().health({})).toMatchObject({ healthy: true });
    expect(bench.standIn.calls).toEqual(["getKeyRing"]);
    await created.close();
  });

  test("health looks at the first configured key", async () => {
    const keyId = await bench.addKey("EC_SIGN_P256_SHA256");
    expect(await bench.provider({ signKeyId: keyId }).health({})).toMatchObject({ healthy: true });
    expect(bench.standIn.calls).toEqual(["getCryptoKey"]);
  });
});
