import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CryptoProvider, utf8 } from "@lango/crypto-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type PythonClient, startClient } from "../../../tooling/services/client.ts";
import { requireService } from "../../../tooling/vitest/require-service.ts";
import { SCHEMES } from "../src/algorithms.ts";
import { createKeys, pipeline, providerOf, seen, standInHere } from "./set-up.ts";
import { CLIENT, type Received, type StandIn } from "./stand-in/server.ts";

// The stand-in and the provider are both ours. Here Microsoft's client, which others wrote, speaks with the one and
// reads what the other made.
let standIn: StandIn;
let provider: CryptoProvider;
let folder: string;
const clients: PythonClient[] = [];
const message = utf8("buy milk");
const secretKey = new Uint8Array(32).fill(5);
const names = { ES256: "p256", ES384: "p384", ES256K: "k1" } as Readonly<Record<string, string>>;
const signingKey = (jwa: string): string => names[jwa] ?? "rsa";

beforeAll(async () => {
  standIn = await standInHere();
  provider = providerOf(standIn);
  folder = mkdtempSync(join(tmpdir(), "lango-azure-client-"));
  writeFileSync(join(folder, "ca.pem"), pipeline().tlsOptions.ca);
  await createKeys(provider, ["p256", "p384", "k1", "rsa", "data"]);
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.stop()));
  await standIn.stop();
  rmSync(folder, { recursive: true });
});

const start = (secret = CLIENT.secret): PythonClient => {
  const { url } = standIn;
  const args = [url, join(folder, "ca.pem"), CLIENT.tenant, CLIENT.id, secret];
  const client = startClient(requireService("cloud-clients"), "microsoft-client.py", args);
  clients.push(client);
  return client;
};
let client: PythonClient | undefined;
const python = (name: string, given: object) => {
  client ??= start();
  return client.call(name, given);
};
/** A call of `KeyClient`. */
const keys = (method: string, args: object = {}) => python("keys", { method, arguments: args });
/** A call of `CryptographyClient`. Without the right to read the key it lets the service compute everything. */
const compute = (
  key_id: string,
  method: string,
  algorithm: string,
  args: object,
  where: "remote" | "local" = "remote",
) => {
  if (where === "remote") {
    const error = { code: "Forbidden", message: "Not allowed to get keys" };
    const answer = { status: 403, body: { error } };
    standIn.inject({ path: /^\/keys\/[^/]+\/[0-9a-f]{32}$/, answer });
  }
  return python("compute", { key_id, method, algorithm, arguments: args });
};
const idOf = async (name: string): Promise<string> => (await keys("get_key", { name })).id;
const operations = (requests: readonly Received[]): (string | undefined)[] =>
  requests.filter(({ method }) => method === "POST").map(({ path }) => path.split("/").at(-1));

test("gets a token by the challenge, and none with a wrong secret", async () => {
  expect(await keys("get_key", { name: "p256" })).toMatchObject({
    id: expect.stringMatching(/^https:.*\/keys\/p256\/[0-9a-f]{32}$/),
    type: "EC",
    curve: "P-256",
    operations: ["sign", "verify"],
    enabled: true,
  });
  const stranger = start("another secret").call("keys", {
    method: "get_key",
    arguments: { name: "p256" },
  });
  await expect(stranger).rejects.toMatchObject({ name: "ClientAuthenticationError" });
});

test("makes, rotates, disables and lists keys and versions, as the provider sees them", async () => {
  const made = await keys("create_rsa_key", { name: "theirs", size: 3072 });
  expect(made).toMatchObject({ name: "theirs", type: "RSA", enabled: true });
  const ec = await keys("create_ec_key", { name: "theirs-ec", curve: "P-256K" });
  expect(ec).toMatchObject({ curve: "P-256K", type: "EC" });
  expect(await provider.describeKey({ keyId: "theirs-ec" })).toMatchObject({
    algorithm: "secp256k1",
    keyVersion: ec.version,
  });
  const rotated = await keys("rotate_key", { name: "theirs" });
  expect(rotated.version).not.toBe(made.version);
  expect((await provider.describeKey({ keyId: "theirs" })).keyVersion).toBe(rotated.version);
  const { version } = rotated;
  const off = await keys("update_key_properties", { name: "theirs", version, enabled: false });
  expect(off.enabled).toBe(false);
  // The provider takes the newest that is enabled.
  expect((await provider.describeKey({ keyId: "theirs" })).keyVersion).toBe(made.version);

  for (const _ of [3, 4]) await keys("rotate_key", { name: "theirs" });
  const versions = await keys("list_properties_of_key_versions", { name: "theirs" });
  expect(versions.map(({ enabled }: { enabled: boolean }) => enabled).sort()).toEqual([
    false,
    true,
    true,
    true,
  ]);
  const ours: string[] = [];
  for await (const { keyId } of provider.listKeys!({})) ours.push(keyId);
  const listed: { id: string }[] = await keys("list_properties_of_keys");
  expect(listed.length).toBeGreaterThan(6);
  expect(listed.map(({ id }) => id).sort()).toEqual(ours.sort());
});

const OAEP = "RSA-OAEP-256";
const EVERYWHERE = ["remote", "local"] as const;

test("encrypts and decrypts, and reads the inner bytes of ours", async () => {
  const [keyId, plaintext] = ["data", message];
  const id = await idOf(keyId);
  const requests = await seen(standIn, async () => {
    for (const where of EVERYWHERE) {
      const { key_id, value: ciphertext } = await compute(
        id,
        "encrypt",
        OAEP,
        { plaintext },
        where,
      );
      expect(key_id).toBe(id);
      expect((await compute(id, "decrypt", OAEP, { ciphertext }, where)).value).toEqual(plaintext);
    }
  });
  // Python encrypts the second time, with the public key; only the service decrypts.
  expect(operations(requests)).toEqual(["encrypt", "decrypt", "decrypt"]);

  const { ciphertext } = await provider.encrypt({ keyId, plaintext });
  const parts = await python("take_apart", { ciphertext });
  const version = id.split("/").at(-1)!;
  expect(parts).toMatchObject({ magic: "LAK1", algorithm: 1, version });
  const inner = await compute(id, "decrypt", OAEP, { ciphertext: parts.encrypted });
  expect(inner.value).toEqual(Uint8Array.of(1, ...plaintext));

  const text = { plaintext: Uint8Array.of(1, ...plaintext) };
  const { value: encrypted } = await compute(id, "encrypt", OAEP, text, "local");
  const made = await python("put_together", { version, encrypted });
  expect(await provider.decrypt({ keyId, ciphertext: made })).toEqual(plaintext);
});

test("wraps and unwraps, and reads the inner bytes of ours", async () => {
  const [keyId, key] = ["data", secretKey];
  const id = await idOf(keyId);
  const requests = await seen(standIn, async () => {
    for (const where of EVERYWHERE) {
      const { value: encrypted_key } = await compute(id, "wrap_key", OAEP, { key }, where);
      const { value } = await compute(id, "unwrap_key", OAEP, { encrypted_key }, where);
      expect(value).toEqual(key);
    }
  });
  expect(operations(requests)).toEqual(["wrapkey", "unwrapkey", "unwrapkey"]);

  const { wrappedKey } = await provider.wrapKey!({ keyId, key });
  const { encrypted, version } = await python("take_apart", { ciphertext: wrappedKey });
  const inner = await compute(id, "unwrap_key", OAEP, { encrypted_key: encrypted });
  expect(inner.value).toEqual(Uint8Array.of(2, ...key));

  const inside = { key: Uint8Array.of(2, ...key) };
  const wrapped = await compute(id, "wrap_key", OAEP, inside, "local");
  const made = await python("put_together", { version, encrypted: wrapped.value });
  expect(await provider.unwrapKey!({ keyId, wrappedKey: made })).toEqual(key);
});

test("what it encrypts with RSA-OAEP (SHA-1), the provider opens when told to", async () => {
  const keyId = "data";
  const id = await idOf(keyId);
  const reader = providerOf(standIn, { algorithm: "RSA-OAEP" });
  for (const where of EVERYWHERE) {
    const sealed = await compute(id, "encrypt", "RSA-OAEP", { plaintext: message }, where);
    expect(await reader.decrypt({ keyId, ciphertext: sealed.value })).toEqual(message);
    const wrapped = await compute(id, "wrap_key", "RSA-OAEP", { key: secretKey }, where);
    expect(await reader.unwrapKey!({ keyId, wrappedKey: wrapped.value })).toEqual(secretKey);
  }
});

test.each(Object.entries(SCHEMES))(
  "signs %s; it, `cryptography` and the provider verify each other",
  async (scheme, { jwa, hash }) => {
    const keyId = signingKey(jwa);
    const id = await idOf(keyId);
    const algorithm = scheme as keyof typeof SCHEMES;
    const digest = createHash(hash).update(message).digest();
    const { publicKey: public_key } = await provider.getPublicKey!({ keyId });
    const ours = await provider.sign!({ keyId, message, algorithm });
    const { value: theirs } = await compute(id, "sign", jwa, { digest });
    expect(await provider.verify!({ keyId, message, algorithm, signature: theirs })).toBe(true);
    const requests = await seen(standIn, async () => {
      for (const signature of [ours.signature, theirs]) {
        await python("verify", { public_key, scheme, message, signature });
        const altered = signature.with(9, signature[9]! ^ 1);
        for (const where of EVERYWHERE) {
          const verify = async (each: Uint8Array) =>
            (await compute(id, "verify", jwa, { digest, signature: each }, where)).value;
          expect([await verify(signature), await verify(altered)]).toEqual([true, false]);
        }
      }
    });
    expect(operations(requests)).toEqual(Array(4).fill("verify"));
  },
);

test("gets the exceptions that Microsoft's library has for the codes", async () => {
  const id = await idOf("data");
  const ciphertext = new Uint8Array(256).fill(1);
  const digest = new Uint8Array(32);
  const fails = (call: Promise<unknown>, name: string, text: string) =>
    expect(call).rejects.toMatchObject({ name, message: expect.stringContaining(text) });
  const decrypt = (key: string) => compute(key, "decrypt", OAEP, { ciphertext });
  const sign = (key: string) => compute(key, "sign", "ES256", { digest });
  await fails(decrypt(id), "HttpResponseError", "BadParameter");
  await fails(keys("get_key", { name: "nowhere" }), "ResourceNotFoundError", "KeyNotFound");
  const missing = id.replace(/[^/]+$/, "0".repeat(32));
  await fails(decrypt(missing), "ResourceNotFoundError", "KeyNotFound");
  await fails(sign(id), "HttpResponseError", "KeyOperationForbidden");
  const off = await keys("create_ec_key", { name: "off", curve: "P-256", enabled: false });
  await fails(sign(off.id), "HttpResponseError", "KeyDisabled");
});

test("deletes, recovers and purges keys; a deleted one keeps its name", async () => {
  await keys("create_ec_key", { name: "gone", curve: "P-256" });
  expect(await keys("begin_delete_key", { name: "gone" })).toMatchObject({ name: "gone" });
  const again = keys("create_ec_key", { name: "gone", curve: "P-256" });
  await expect(again).rejects.toMatchObject({ name: "ResourceExistsError" });
  const create = { keyId: "gone", algorithm: "ecdsa-p256", usage: "signing" } as const;
  await expect(provider.createKey!(create)).rejects.toMatchObject({ code: "ERR_CONFLICT" });
  const deleted: { name: string }[] = await keys("list_deleted_keys");
  expect(deleted.map(({ name }) => name)).toEqual(["gone"]);
  expect(await keys("begin_recover_deleted_key", { name: "gone" })).toMatchObject({ name: "gone" });
  expect((await provider.describeKey({ keyId: "gone" })).state).toBe("enabled");
  await keys("begin_delete_key", { name: "gone" });
  await keys("purge_deleted_key", { name: "gone" });
  const purged = keys("get_deleted_key", { name: "gone" });
  await expect(purged).rejects.toMatchObject({ name: "ResourceNotFoundError" });
  expect((await provider.createKey!(create)).state).toBe("enabled");
});

test("the provider sends what Microsoft's client sends", async () => {
  const digest = new Uint8Array(32).fill(7);
  const [ec, data] = [await idOf("p256"), await idOf("data")];
  const signature = (await provider.sign!({ keyId: "p256", digest })).signature;
  const { wrappedKey } = await provider.wrapKey!({ keyId: "data", key: secretKey });
  const { encrypted } = await python("take_apart", { ciphertext: wrappedKey });
  const pairs: [() => Promise<unknown>, () => Promise<unknown>][] = [
    [
      () => provider.sign!({ keyId: "p256", digest }),
      () => compute(ec, "sign", "ES256", { digest }),
    ],
    [
      () => provider.verify!({ keyId: "p256", digest, signature }),
      () => compute(ec, "verify", "ES256", { digest, signature }),
    ],
    [
      () => provider.encrypt({ keyId: "data", plaintext: message }),
      () => compute(data, "encrypt", OAEP, { plaintext: Uint8Array.of(1, ...message) }),
    ],
    [
      () => provider.wrapKey!({ keyId: "data", key: secretKey }),
      () => compute(data, "wrap_key", OAEP, { key: Uint8Array.of(2, ...secretKey) }),
    ],
    [
      () => provider.unwrapKey!({ keyId: "data", wrappedKey }),
      () => compute(data, "unwrap_key", OAEP, { encrypted_key: encrypted }),
    ],
    [() => provider.rotateKey!({ keyId: "rsa" }), () => keys("rotate_key", { name: "rsa" })],
  ];
  for (const [ours, theirs] of pairs) {
    const sent = await seen(standIn, ours);
    expect(sent).toContainEqual((await seen(standIn, theirs)).at(-1));
  }
  const bodies = async (run: () => Promise<unknown>) => (await seen(standIn, run)).at(-1)?.body;
  const ours = await bodies(() =>
    provider.createKey!({ keyId: "mine", algorithm: "rsa-2048", usage: "encryption" }),
  );
  const key_operations = ["encrypt", "decrypt", "wrapKey", "unwrapKey"];
  const theirs = await bodies(() =>
    keys("create_rsa_key", { name: "same", size: 2048, key_operations }),
  );
  // The SDK for Node sends that too.
  expect(ours).toEqual({ ...theirs, attributes: {} });
});
