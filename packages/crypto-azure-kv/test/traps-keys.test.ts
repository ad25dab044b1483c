import { createPublicKey, generateKeyPairSync } from "node:crypto";
import type { CryptoProvider } from "@lango/crypto-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SCHEMES } from "../src/algorithms.ts";
import { codeOf, createKeys, providerOf, seen, standInHere } from "./set-up.ts";
import type { StandIn } from "./stand-in/server.ts";

let standIn: StandIn;
let provider: CryptoProvider;
const message = new TextEncoder().encode("a message of some bytes");

beforeAll(async () => {
  standIn = await standInHere();
  provider = providerOf(standIn);
  await createKeys(provider, ["p256", "p384", "k1", "rsa", "data"]);
});
afterAll(() => standIn.stop());

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
  const requests = await seen(standIn, async () => {
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
    const requests = await seen(standIn, async () => {
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
      const requests = await seen(standIn, async () => {
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
  const requests = await seen(standIn, async () => {
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

test("trap 2c.14: secp256k1 is P-256K and ES256K there", async () => {
  const requests = await seen(standIn, async () => {
    await provider.createKey!({ keyId: "bitcoin", algorithm: "secp256k1", usage: "signing" });
    await provider.sign!({ keyId: "bitcoin", message });
  });
  const bodies = requests.map(({ body }) => body);
  expect(bodies).toContainEqual(expect.objectContaining({ kty: "EC", crv: "P-256K" }));
  expect(bodies).toContainEqual(expect.objectContaining({ alg: "ES256K" }));
  const spki = await provider.getPublicKey!({ keyId: "bitcoin" });
  const key = Buffer.from(spki.publicKey);
  const publicKey = createPublicKey({ key, format: "der", type: "spki" });
  expect(publicKey.asymmetricKeyDetails).toEqual({ namedCurve: "secp256k1" });
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
