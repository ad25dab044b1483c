import {
  constants,
  createHash,
  createPublicKey,
  generateKeyPairSync,
  publicEncrypt,
  verify,
} from "node:crypto";
import { type CryptoProvider, isCryptoError, type KeyAlgorithm } from "@lango/crypto-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { configSchema } from "../src/config.ts";
import { toAzureKvError } from "../src/errors.ts";
import { SCHEMES } from "../src/index.ts";
import { loadClient } from "../src/sdk.ts";
import { parseVaultUrl } from "../src/vault-url.ts";
import { credentialOf, pipeline, providerOf, standInHere } from "./set-up.ts";
import type { Received, StandIn } from "./stand-in/server.ts";

let standIn: StandIn;
let provider: CryptoProvider;
const message = new TextEncoder().encode("a message of some bytes");

beforeAll(async () => {
  standIn = await standInHere();
  provider = providerOf(standIn);
  const keys: [string, KeyAlgorithm, "signing" | "encryption"][] = [
    ["p256", "ecdsa-p256", "signing"],
    ["p384", "ecdsa-p384", "signing"],
    ["k1", "secp256k1", "signing"],
    ["rsa", "rsa-2048", "signing"],
    ["data", "rsa-2048", "encryption"],
  ];
  for (const [keyId, algorithm, usage] of keys) {
    await provider.createKey!({ keyId, algorithm, usage });
  }
});
afterAll(() => standIn.stop());

/** What the stand-in gets while `run` runs. */
const seen = async (run: () => Promise<unknown>): Promise<readonly Received[]> => {
  const before = standIn.requests.length;
  await run();
  return standIn.requests.slice(before);
};
const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => "resolved",
    (error: unknown) => (isCryptoError(error) ? error.code : error),
  );
const nodeKey = async (keyId: string) => {
  const { publicKey } = await provider.getPublicKey!({ keyId });
  return createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
};

describe("trap 2c.1: ECDSA signatures are r‖s of exactly 2n bytes, RSA's stay as they are", () => {
  test("halves that lost leading zeros are filled up, and the signature verifies", async () => {
    const key = await nodeKey("p256");
    // 1 in 256 signatures has an r with a leading zero; the same must hold for s for both halves to be cut.
    const cut = (value: string) => {
      const bytes = Buffer.from(value, "base64url");
      const [r, s] = [bytes.subarray(0, 32), bytes.subarray(32)];
      const zeros = Math.min(leadingZeros(r), leadingZeros(s));
      return Buffer.concat([r.subarray(zeros), s.subarray(zeros)]).toString("base64url");
    };
    standIn.inject({
      path: /p256\/.*\/sign$/,
      change: (body) => ({
        ...body,
        value: Buffer.concat([SHORT.r, SHORT.s]).toString("base64url"),
      }),
    });
    const { signature } = await provider.sign!({ keyId: "p256", message });
    expect(Buffer.from(signature).toString("hex")).toBe(
      `00${SHORT.r.toString("hex")}00${SHORT.s.toString("hex")}`,
    );
    standIn.inject({
      path: /\/sign$/,
      change: (body) => ({ ...body, value: cut(String(body["value"])) }),
    });
    const real = await provider.sign!({ keyId: "p256", message });
    expect(verify("sha256", message, { key, dsaEncoding: "ieee-p1363" }, real.signature)).toBe(
      true,
    );
  });

  test.each([0, 63, 65, 70])("%i bytes are no signature", async (length) => {
    const value = Buffer.alloc(length, 1).toString("base64url");
    standIn.inject({ path: /\/sign$/, change: (body) => ({ ...body, value }) });
    expect(await codeOf(provider.sign!({ keyId: "p256", message }))).toBe("ERR_INTEGRITY");
  });

  test("an RSA signature is not cut in halves", async () => {
    const value = Buffer.alloc(254, 1).toString("base64url");
    standIn.inject({ path: /\/sign$/, change: (body) => ({ ...body, value }) });
    expect(await codeOf(provider.sign!({ keyId: "rsa", message }))).toBe("ERR_INTEGRITY");
  });
});

const SHORT = { r: Buffer.alloc(31, 0x11), s: Buffer.alloc(31, 0x22) };
const leadingZeros = (bytes: Buffer): number => bytes.findIndex((byte) => byte !== 0);

test.each(Object.entries(SCHEMES))(
  "trap 2c.2: %s sends the hash of the message, once",
  async (algorithm, facts) => {
    const keyId = { ES256: "p256", ES384: "p384", ES256K: "k1" }[facts.jwa] ?? "rsa";
    const scheme = algorithm as keyof typeof SCHEMES;
    const digest = createHash(facts.hash).update(message).digest();
    const requests = await seen(async () => {
      await provider.sign!({ keyId, message, algorithm: scheme });
      await provider.sign!({ keyId, digest, algorithm: scheme });
    });
    const signed = requests.filter(({ path }) => path.endsWith("/sign"));
    expect(signed.map(({ body }) => body)).toEqual([
      { alg: facts.jwa, value: digest.toString("base64url") },
      { alg: facts.jwa, value: digest.toString("base64url") },
    ]);
  },
);

describe("trap 2c.3: the version is in the ciphertext", () => {
  test("after a rotation both open, without a keyVersion, also in a program that knows nothing", async () => {
    await provider.createKey!({ keyId: "rotated", algorithm: "rsa-2048", usage: "encryption" });
    const old = await provider.encrypt({ keyId: "rotated", plaintext: message });
    const wrapped = await provider.wrapKey!({ keyId: "rotated", key: message });
    const { keyVersion } = await provider.rotateKey!({ keyId: "rotated" });
    const young = await provider.encrypt({ keyId: "rotated", plaintext: message });
    expect([young.keyVersion, old.keyVersion === keyVersion]).toEqual([keyVersion, false]);
    for (const reader of [provider, providerOf(standIn)]) {
      for (const { ciphertext } of [old, young]) {
        expect(await reader.decrypt({ keyId: "rotated", ciphertext })).toEqual(message);
      }
      const { wrappedKey } = wrapped;
      expect(await reader.unwrapKey!({ keyId: "rotated", wrappedKey })).toEqual(message);
    }
  });

  test("signatures name theirs, and verify with it", async () => {
    await provider.createKey!({ keyId: "signer", algorithm: "ecdsa-p256", usage: "signing" });
    const { signature, keyVersion } = await provider.sign!({ keyId: "signer", message });
    await provider.rotateKey!({ keyId: "signer" });
    expect(await provider.verify!({ keyId: "signer", message, signature })).toBe(false);
    expect(await provider.verify!({ keyId: "signer", message, signature, keyVersion })).toBe(true);
    const pinned = `${standIn.url}/keys/signer/${keyVersion}`;
    expect(await provider.verify!({ keyId: pinned, message, signature })).toBe(true);
    expect((await provider.sign!({ keyId: `signer/${keyVersion}`, message })).keyVersion).toBe(
      keyVersion,
    );
    expect(
      await codeOf(provider.verify!({ keyId: "signer", message, signature, keyVersion: "../x" })),
    ).toBe("ERR_KEY_NOT_FOUND");
  });

  test("another program's rotation is seen when the old version is disabled", async () => {
    await provider.createKey!({ keyId: "shared", algorithm: "ecdsa-p256", usage: "signing" });
    const { keyVersion } = await provider.sign!({ keyId: "shared", message });
    const rotated = await providerOf(standIn).rotateKey!({ keyId: "shared" });
    // Remembered for a minute, and named in the result.
    expect((await provider.sign!({ keyId: "shared", message })).keyVersion).toBe(keyVersion);
    standIn.store.update("shared", keyVersion, { attributes: { enabled: false } });
    expect((await provider.sign!({ keyId: "shared", message })).keyVersion).toBe(
      rotated.keyVersion,
    );
  });
});

describe("trap 2c.4: RSA-OAEP with SHA-256", () => {
  test("is what is sent, for 189 bytes of an RSA-2048 key and not one more", async () => {
    expect(provider.capabilities).toMatchObject({ maxPlaintextBytes: 189, maxWrapBytes: 189 });
    const plaintext = new Uint8Array(189);
    const requests = await seen(() => provider.encrypt({ keyId: "data", plaintext }));
    expect(requests.at(-1)?.body["alg"]).toBe("RSA-OAEP-256");
    const none = await seen(async () => {
      const longer = provider.encrypt({ keyId: "data", plaintext: new Uint8Array(190) });
      expect(await codeOf(longer)).toBe("ERR_INVALID_ARGUMENT");
    });
    expect(none).toEqual([]);
  });

  test("RSA1_5 is no setting", () => {
    const parse = () =>
      configSchema.parse({ vaultUrl: "https://a.vault.azure.net", algorithm: "RSA1_5" });
    expect(parse).toThrow(/RSA1_5 is refused/);
  });

  describe('algorithm: "RSA-OAEP" (SHA-1) reads old data and makes none', () => {
    const old = () => providerOf(standIn, { algorithm: "RSA-OAEP" });
    const bare = async (oaepHash: string) => {
      const { key } = { key: createPublicKey(await jwkOf("data")) };
      return publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, message);
    };
    test("encrypt and wrapKey are refused", async () => {
      expect(old().capabilities.operations).not.toContain("encrypt");
      expect(old().capabilities.operations).not.toContain("wrapKey");
      const requests = await seen(async () => {
        expect(await codeOf(old().encrypt({ keyId: "data", plaintext: message }))).toBe(
          "ERR_UNSUPPORTED",
        );
        expect(await codeOf(old().wrapKey!({ keyId: "data", key: message }))).toBe(
          "ERR_UNSUPPORTED",
        );
      });
      expect(requests).toEqual([]);
    });
    test("bare ciphertexts of others open, with their version or the current one", async () => {
      const ciphertext = await bare("sha1");
      const { keyVersion } = await provider.describeKey({ keyId: "data" });
      expect(await old().decrypt({ keyId: "data", ciphertext })).toEqual(message);
      expect(await old().decrypt({ keyId: "data", ciphertext, keyVersion })).toEqual(message);
      expect(await old().unwrapKey!({ keyId: "data", wrappedKey: ciphertext })).toEqual(message);
    });
    test("our own still open; SHA-256 without our header does not", async () => {
      const { ciphertext } = await provider.encrypt({ keyId: "data", plaintext: message });
      expect(await old().decrypt({ keyId: "data", ciphertext })).toEqual(message);
      const other = await bare("sha256");
      expect(await codeOf(old().decrypt({ keyId: "data", ciphertext: other }))).toBe(
        "ERR_DECRYPTION_FAILED",
      );
    });
    test("without the setting they do not open", async () => {
      const ciphertext = await bare("sha1");
      expect(await codeOf(provider.decrypt({ keyId: "data", ciphertext }))).toBe(
        "ERR_DECRYPTION_FAILED",
      );
    });
    test("an empty plaintext of others is empty", async () => {
      const key = createPublicKey(await jwkOf("data"));
      const padding = constants.RSA_PKCS1_OAEP_PADDING;
      const ciphertext = publicEncrypt({ key, padding, oaepHash: "sha1" }, new Uint8Array());
      expect(await old().decrypt({ keyId: "data", ciphertext })).toEqual(new Uint8Array());
    });
  });
});

const jwkOf = async (name: string) => ({
  key: standIn.store.get(name).publicKey.export({ format: "jwk" }),
  format: "jwk" as const,
});

test("trap 2c.5: symmetric keys are refused by name, and AAD is refused, not ignored", async () => {
  const octet = { kty: "oct-HSM", key_ops: ["encrypt", "decrypt"] };
  for (const kty of ["oct", "oct-HSM"]) {
    standIn.inject({
      path: /\/keys\/data\/$/,
      change: ({ key, ...rest }) => ({
        ...rest,
        key: { ...octet, kty, kid: (key as { kid: string }).kid },
      }),
    });
    const error = await provider.describeKey({ keyId: "data" }).catch((reason: Error) => reason);
    expect(error).toMatchObject({ code: "ERR_UNSUPPORTED" });
    expect(String(error)).toContain(kty);
  }
  expect(provider.capabilities).toMatchObject({ aad: false, wrapAad: false, macAlgorithms: [] });
  const aad = message;
  const requests = await seen(async () => {
    const ciphertext = new Uint8Array(300);
    expect(await codeOf(provider.encrypt({ keyId: "data", plaintext: message, aad }))).toBe(
      "ERR_UNSUPPORTED",
    );
    expect(await codeOf(provider.decrypt({ keyId: "data", ciphertext, aad }))).toBe(
      "ERR_UNSUPPORTED",
    );
    expect(await codeOf(provider.wrapKey!({ keyId: "data", key: message, aad }))).toBe(
      "ERR_UNSUPPORTED",
    );
    expect(await codeOf(provider.unwrapKey!({ keyId: "data", wrappedKey: ciphertext, aad }))).toBe(
      "ERR_UNSUPPORTED",
    );
  });
  expect(requests).toEqual([]);
});

describe("trap 2c.6: key types that end in -HSM", () => {
  test("a Managed HSM has no others; they sign, wrap and say hsm", async () => {
    const hsm = await standInHere({ managedHsm: true });
    const inHsm = providerOf(hsm, { managedHsm: true });
    try {
      expect(inHsm.capabilities.protection).toBe("hsm");
      for (const [keyId, algorithm, kty] of [
        ["rsa", "rsa-2048", "RSA-HSM"],
        ["ec", "ecdsa-p384", "EC-HSM"],
        ["k1", "secp256k1", "EC-HSM"],
      ] as const) {
        const usage = algorithm === "rsa-2048" ? "encryption" : "signing";
        const made = await inHsm.createKey!({ keyId, algorithm, usage });
        expect(made).toMatchObject({ algorithm, usage, protection: "hsm" });
        expect(hsm.store.get(keyId).kty).toBe(kty);
      }
      const { wrappedKey } = await inHsm.wrapKey!({ keyId: "rsa", key: message });
      expect(await inHsm.unwrapKey!({ keyId: "rsa", wrappedKey })).toEqual(message);
      const { signature } = await inHsm.sign!({ keyId: "ec", message });
      expect(await inHsm.verify!({ keyId: "ec", message, signature })).toBe(true);
      // The source of random bytes is there too: 128 bytes a call.
      const random = await inHsm.random!({ bytes: 300 });
      expect(random).toHaveLength(300);
      expect(random.subarray(256).some(Boolean)).toBe(true);
      expect(
        hsm.requests.filter(({ path }) => path === "/rng").map(({ body }) => body["count"]),
      ).toEqual([128, 128, 44]);
    } finally {
      await hsm.stop();
    }
  });
  test("a vault makes them when it is told to", async () => {
    const premium = providerOf(standIn, { hsmKeys: true });
    const made = await premium.createKey!({
      keyId: "premium",
      algorithm: "ecdsa-p256",
      usage: "signing",
    });
    expect([made.protection, standIn.store.get("premium").kty]).toEqual(["hsm", "EC-HSM"]);
    expect((await provider.describeKey({ keyId: "p256" })).protection).toBe("remote");
    expect(provider.capabilities.operations).not.toContain("random");
  });
});

describe("trap 2c.7: nothing is computed here unless asked", () => {
  test("every operation with a public key goes to the service, and asks for no key twice", async () => {
    const requests = await seen(async () => {
      await provider.encrypt({ keyId: "data", plaintext: message });
      await provider.wrapKey!({ keyId: "data", key: message });
      const { signature } = await provider.sign!({ keyId: "rsa", message });
      await provider.verify!({ keyId: "rsa", message, signature });
    });
    const paths = requests.map(({ method, path }) => `${method} ${path.split("/").at(-1)}`);
    expect(paths.filter((path) => path.startsWith("POST"))).toEqual([
      "POST encrypt",
      "POST wrapkey",
      "POST sign",
      "POST verify",
    ]);
    // The SDK's own client would read each key again before its first operation.
    expect(paths.filter((path) => path.startsWith("GET")).length).toBeLessThanOrEqual(2);
  });

  test("a key whose time is over still decrypts and verifies, which the SDK would refuse by itself", async () => {
    for (const [keyId, algorithm, usage] of [
      ["over", "rsa-2048", "encryption"],
      ["over-sign", "ecdsa-p256", "signing"],
    ] as const) {
      await provider.createKey!({ keyId, algorithm, usage });
    }
    const { ciphertext } = await provider.encrypt({ keyId: "over", plaintext: message });
    const { signature } = await provider.sign!({ keyId: "over-sign", message });
    for (const name of ["over", "over-sign"])
      standIn.store.update(name, undefined, { attributes: { exp: 1 } });
    expect(await provider.decrypt({ keyId: "over", ciphertext })).toEqual(message);
    expect(await provider.verify!({ keyId: "over-sign", message, signature })).toBe(true);
    expect(await codeOf(provider.encrypt({ keyId: "over", plaintext: message }))).toBe(
      "ERR_KEY_DISABLED",
    );
    expect((await provider.describeKey({ keyId: "over" })).state).toBe("disabled");
    standIn.store.update("over", undefined, { attributes: { exp: 4e9, nbf: 4e9 - 1 } });
    expect((await provider.describeKey({ keyId: "over" })).state).toBe("pending");
  });

  test("localPublicKeyOperations verifies messages here, with the same results", async () => {
    const local = providerOf(standIn, { localPublicKeyOperations: true });
    for (const [algorithm, { jwa }] of Object.entries(SCHEMES)) {
      const keyId = { ES256: "p256", ES384: "p384", ES256K: "k1" }[jwa] ?? "rsa";
      const scheme = { algorithm: algorithm as keyof typeof SCHEMES };
      const { signature } = await provider.sign!({ keyId, message, ...scheme });
      await local.describeKey({ keyId });
      const requests = await seen(async () => {
        expect(await local.verify!({ keyId, message, signature, ...scheme })).toBe(true);
        signature[5]! ^= 1;
        expect(await local.verify!({ keyId, message, signature, ...scheme })).toBe(false);
      });
      expect(requests).toEqual([]);
    }
  });
});

test("trap 2c.8: every byte string on the wire is base64url without padding, once", async () => {
  const plaintext = Uint8Array.of(0xfb, 0xff, 0xfe);
  const requests = await seen(async () => {
    const { ciphertext } = await provider.encrypt({ keyId: "data", plaintext });
    expect(await provider.decrypt({ keyId: "data", ciphertext })).toEqual(plaintext);
  });
  const values = requests.flatMap(({ body }) =>
    typeof body["value"] === "string" ? body["value"] : [],
  );
  expect(values).toHaveLength(2);
  expect(values[0]).toBe(Buffer.from([1, ...plaintext]).toString("base64url"));
  for (const value of values) expect(value).toMatch(/^[\w-]+$/);
});

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

  test("a key of another host is ERR_KEY_NOT_FOUND without a request; one without form an argument", async () => {
    const requests = await seen(async () => {
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

test("trap 2c.14: secp256k1 is P-256K and ES256K there", async () => {
  const requests = await seen(async () => {
    await provider.createKey!({ keyId: "bitcoin", algorithm: "secp256k1", usage: "signing" });
    await provider.sign!({ keyId: "bitcoin", message });
  });
  const bodies = requests.map(({ body }) => body);
  expect(bodies).toContainEqual(expect.objectContaining({ kty: "EC", crv: "P-256K" }));
  expect(bodies).toContainEqual(expect.objectContaining({ alg: "ES256K" }));
  expect((await nodeKey("bitcoin")).asymmetricKeyDetails).toEqual({ namedCurve: "secp256k1" });
});

test("curves and sizes that the contract has not are refused", async () => {
  await standIn.store.create("p521", { kty: "EC", crv: "P-521" });
  expect(await codeOf(provider.describeKey({ keyId: "p521" }))).toBe("ERR_UNSUPPORTED");
  const { n, e } = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({
    format: "jwk",
  });
  standIn.inject({
    path: /\/keys\/rsa\/$/,
    change: (body) => ({ ...body, key: { ...(body["key"] as object), n, e } }),
  });
  expect(await codeOf(provider.describeKey({ keyId: "rsa" }))).toBe("ERR_UNSUPPORTED");
  // And are left out of lists, where others stand.
  for await (const { keyId } of provider.listKeys!({})) expect(keyId).not.toContain("p521");
  standIn.store.delete("p521");
});
