import {
  constants,
  createHash,
  createPublicKey,
  generateKeyPairSync,
  publicEncrypt,
  verify,
} from "node:crypto";
import { type CryptoProvider, ECDSA_CURVES, normalizeLowS } from "@lango/crypto-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SCHEMES } from "../src/algorithms.ts";
import { configSchema } from "../src/config.ts";
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

describe("trap 2c.1: ECDSA signatures are r‖s of exactly 2n bytes, RSA's stay as they are", () => {
  test("halves that lost leading zeros are filled up, and the signature verifies", async () => {
    const { publicKey } = await provider.getPublicKey!({ keyId: "p256" });
    const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
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

  test("a high s of secp256k1 becomes the low one, which verifies", async () => {
    const high = (value: string) => {
      const bytes = Buffer.from(value, "base64url");
      const s = BigInt(`0x${bytes.subarray(32).toString("hex")}`);
      const { order } = ECDSA_CURVES.secp256k1;
      const other = (s > order / 2n ? s : order - s).toString(16).padStart(64, "0");
      return Buffer.concat([bytes.subarray(0, 32), Buffer.from(other, "hex")]);
    };
    standIn.inject({
      path: /\/sign$/,
      change: (body) => ({ ...body, value: high(String(body["value"])).toString("base64url") }),
    });
    const { signature } = await provider.sign!({ keyId: "k1", message });
    expect(normalizeLowS(signature, "secp256k1")).toEqual(signature);
    expect(await provider.verify!({ keyId: "k1", message, signature })).toBe(true);
  });

  test("a public key whose coordinates lost leading zeros is the same key", async () => {
    let pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const jwk = () => pair.publicKey.export({ format: "jwk" });
    while (Buffer.from(jwk().x!, "base64url")[0] !== 0) {
      pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
    }
    const x = Buffer.from(jwk().x!, "base64url").subarray(1).toString("base64url");
    standIn.inject({
      path: /\/keys\/p256\/$/,
      change: (body) => ({ ...body, key: { ...(body["key"] as object), x, y: jwk().y } }),
    });
    const { publicKey } = await providerOf(standIn).getPublicKey!({ keyId: "p256" });
    const spki = pair.publicKey.export({ type: "spki", format: "der" });
    expect(Buffer.from(publicKey).equals(spki)).toBe(true);
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
    const requests = await seen(standIn, async () => {
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
    const requests = await seen(standIn, () => provider.encrypt({ keyId: "data", plaintext }));
    expect(requests.at(-1)?.body["alg"]).toBe("RSA-OAEP-256");
    const none = await seen(standIn, async () => {
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
      const requests = await seen(standIn, async () => {
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
