import { spawnSync } from "node:child_process";
import { createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { createCryptoClient } from "@lango/crypto-core";
import {
  createPkcs11Provider,
  type Pkcs11Provider,
  type Pkcs11ProviderOptions,
  provider as providerModule,
} from "@lango/crypto-pkcs11";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type FaultyHsm, makeFaulty } from "../support/faults.ts";
import { moduleProcesses, onToken } from "../support/native.ts";
import { makeSoftHsm, PIN, type SoftHsm, withToken } from "../support/softhsm.ts";

const message = new Uint8Array([1, 2, 3]);
let hsm: SoftHsm;
let faulty: FaultyHsm;
const open: Pkcs11Provider[] = [];

const provide = async (
  settings: Partial<Pkcs11ProviderOptions> = {},
): Promise<Required<Pkcs11Provider>> => {
  const provider = await createPkcs11Provider({ ...hsm, maxSessions: 1, ...settings });
  open.push(provider);
  return provider as Required<Pkcs11Provider>;
};

withToken("softhsm2", () => {
  beforeAll(() => {
    hsm = makeSoftHsm();
    faulty = makeFaulty(hsm);
  });
  afterEach(async () => {
    faulty.mend();
    await Promise.all(open.splice(0).map((provider) => provider.close()));
  });
  afterAll(() => hsm?.remove());

  test("trap 2d.1: two providers on one token; closing one leaves the other logged in", async () => {
    const [one, two] = [await provide(), await provide()];
    const { keyId } = await one.createKey({ algorithm: "ecdsa-p256", usage: "signing" });
    await two.sign({ keyId, message });
    await one.close();
    await expect(two.sign({ keyId, message })).resolves.toBeDefined();
  });

  test("trap 2d.1: CKR_USER_ALREADY_LOGGED_IN is a login", async () => {
    const provider = await provide(faulty);
    faulty.fault("C_Login", "0x100");
    await expect(provider.health({})).resolves.toMatchObject({ healthy: true });
  });

  test("trap 2d.5: a child has a library of its own, and a process may have many", async () => {
    const providers = [await provide(), await provide(), await provide()];
    // SoftHSM fails now and then when several processes log in at once; then the login is tried once more.
    await Promise.all(providers.map((provider) => provider.random({ bytes: 8 })));
    expect(moduleProcesses()).toHaveLength(3);
    await providers[0]!.close();
    await expect(providers[1]!.random({ bytes: 8 })).resolves.toHaveLength(8);
  });

  test("trap 2d.6: tokens by label and serial, and the slot of seed 000", async () => {
    const two = makeSoftHsm(["first", "second"]);
    const base = { ...two, maxSessions: 1 };
    const second = await provide({ ...base, token: { label: "second" } });
    const found = await second.describeToken();
    expect(found).toMatchObject({ label: "second", foundBy: "label and serial" });
    const bySerial = await provide({ ...base, token: { serial: found.serial } });
    expect(await bySerial.describeToken()).toEqual(found);
    const bySlot = await provide({ ...base, token: { slotId: found.slotId } });
    expect(await bySlot.describeToken()).toMatchObject({ label: "second", foundBy: "slot number" });
    // No slot has the number 0 or 1 with a token: then it is the index.
    const labels = await Promise.all(
      [0, 1].map(async (slotId) => (await provide({ ...base, token: { slotId } })).describeToken()),
    );
    expect(new Set(labels.map(({ label }) => label))).toEqual(new Set(["first", "second"]));
    expect(labels[0]).toMatchObject({ foundBy: "index of the slot" });
    await expect(provide(base)).rejects.toMatchObject({ code: "ERR_CONFIG" });
    const none = await provide({ ...base, token: { label: "third" } });
    await expect(none.describeToken()).rejects.toMatchObject({ code: "ERR_UNAVAILABLE" });
    two.remove();
  });

  test("trap 2d.6: the JSON of seed 000, but for the path of the module", async () => {
    const kms = {
      pkcs11: { modulePath: hsm.modulePath, slotId: 0, keyLabel: "lango-signing-key" },
    };
    const config = providerModule.configSchema.parse(kms.pkcs11);
    process.env["SOFTHSM2_CONF"] = hsm.env.SOFTHSM2_CONF;
    try {
      const provider = (await providerModule.create(config, {
        LANGO_PKCS11_PIN: PIN,
      })) as Required<Pkcs11Provider>;
      open.push(provider);
      expect(await provider.health({})).toMatchObject({ healthy: false });
      const keyId = "lango-signing-key";
      await provider.createKey({ keyId, algorithm: "ecdsa-p256", usage: "signing" });
      expect(await provider.health({})).toMatchObject({ healthy: true });
      await provider.sign({ keyId, message });
    } finally {
      delete process.env["SOFTHSM2_CONF"];
    }
  });

  test("trap 2d.6: a label of a pair and an AES key: the class decides; two of a class are a conflict", async () => {
    const provider = await provide();
    const keyId = "shared";
    const pair = await provider.createKey({ keyId, algorithm: "ecdsa-p256", usage: "signing" });
    const secret = await provider.createKey({
      keyId,
      algorithm: "aes-256-gcm",
      usage: "encryption",
    });
    expect((await provider.sign({ keyId, message })).keyId).toBe(pair.keyId);
    expect((await provider.encrypt({ keyId, plaintext: message })).keyId).toBe(secret.keyId);
    await expect(provider.describeKey({ keyId })).rejects.toMatchObject({ code: "ERR_CONFLICT" });
    onToken(
      hsm,
      `m.C_GenerateKey(s, { mechanism: p.CKM_AES_KEY_GEN }, [
         { type: p.CKA_TOKEN, value: true }, { type: p.CKA_LABEL, value: Buffer.from("shared") },
         { type: p.CKA_ID, value: Buffer.from("0a0b", "hex") }, { type: p.CKA_VALUE_LEN, value: 32 },
         { type: p.CKA_ENCRYPT, value: true }, { type: p.CKA_DECRYPT, value: true }]);`,
    );
    const later = await provide();
    const error = await later.encrypt({ keyId, plaintext: message }).catch((e) => e);
    expect(error).toMatchObject({ code: "ERR_CONFLICT" });
    expect(error.message).toContain(secret.keyId);
    expect(error.message).toContain("id=%0a%0b");
    await later.encrypt({ keyId: secret.keyId, plaintext: message });
    await later.sign({ keyId, message });
  });

  test("trap 2d.6: more than 100 objects", async () => {
    onToken(
      hsm,
      `for (let i = 0; i < 130; i++) m.C_GenerateKey(s, { mechanism: p.CKM_AES_KEY_GEN }, [
         { type: p.CKA_TOKEN, value: true }, { type: p.CKA_LABEL, value: Buffer.from("many-" + i) },
         { type: p.CKA_VALUE_LEN, value: 32 }]);`,
    );
    const provider = await provide();
    let many = 0;
    for await (const { keyId } of provider.listKeys({})) if (keyId.includes("many-")) many++;
    expect(many).toBe(130);
  });

  test("trap 2d.7: a token that drops the leading zero of r and s", async () => {
    const provider = await provide(faulty);
    const { keyId } = await provider.createKey({ algorithm: "ecdsa-p256", usage: "signing" });
    const { publicKey } = await provider.getPublicKey({ keyId });
    const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
    faulty.fault("C_Sign", "strip");
    // One of 65,536 signatures has both zeros: the module signs until it has one.
    const { signature } = await provider.sign({ keyId, message });
    expect([signature.length, signature[0], signature[32]]).toEqual([64, 0, 0]);
    expect(verify("sha256", message, { key, dsaEncoding: "ieee-p1363" }, signature)).toBe(true);
  });

  test("trap 2d.9: the IV that the token made is stored, not the one that it was given", async () => {
    const provider = await provide(faulty);
    const { keyId } = await provider.createKey({ algorithm: "aes-256-gcm", usage: "encryption" });
    faulty.fault("C_EncryptInit", "own-iv");
    const { ciphertext } = await provider.encrypt({ keyId, plaintext: message, aad: message });
    expect(ciphertext.slice(1, 13)).toEqual(new Uint8Array(12).fill(0xa5));
    expect(await provider.decrypt({ keyId, ciphertext, aad: message })).toEqual(message);

    const own = await provide({ ...faulty, tokenMakesIv: true });
    const made = await own.encrypt({ keyId, plaintext: message });
    expect(await provider.decrypt({ keyId, ciphertext: made.ciphertext })).toEqual(message);
    faulty.mend();
    // One that claims to make them and does not would use zeros for ever.
    const call = own.encrypt({ keyId, plaintext: message });
    await expect(call).rejects.toMatchObject({ code: "ERR_INTERNAL" });
  });

  test("trap 2d.10: an empty AAD never reaches the token, and no short tag is taken", async () => {
    const provider = await provide();
    const { keyId } = await provider.createKey({ algorithm: "aes-256-gcm", usage: "encryption" });
    const { ciphertext } = await provider.encrypt({ keyId, plaintext: new Uint8Array() });
    expect(ciphertext).toHaveLength(1 + 12 + 16);
    expect(await provider.decrypt({ keyId, ciphertext })).toHaveLength(0);
    for (const length of [0, 1, 12, 13, 28]) {
      const call = provider.decrypt({ keyId, ciphertext: ciphertext.slice(0, length) });
      await expect(call).rejects.toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
    }
  });

  test("trap 2d.12: a key with CKA_ALWAYS_AUTHENTICATE gets the PIN at each use", async () => {
    onToken(
      hsm,
      `m.C_GenerateKeyPair(s, { mechanism: p.CKM_EC_KEY_PAIR_GEN },
         [{ type: p.CKA_TOKEN, value: true }, { type: p.CKA_LABEL, value: Buffer.from("careful") }, { type: p.CKA_ID, value: Buffer.from("77", "hex") },
          { type: p.CKA_EC_PARAMS, value: Buffer.from("06082a8648ce3d030107", "hex") }, { type: p.CKA_VERIFY, value: true }],
         [{ type: p.CKA_TOKEN, value: true }, { type: p.CKA_LABEL, value: Buffer.from("careful") }, { type: p.CKA_ID, value: Buffer.from("77", "hex") },
          { type: p.CKA_PRIVATE, value: true }, { type: p.CKA_SIGN, value: true }, { type: p.CKA_ALWAYS_AUTHENTICATE, value: true }]);`,
    );
    const provider = await provide(faulty);
    faulty.calls("C_Login");
    const keyId = "careful";
    for (let use = 0; use < 3; use++) {
      const { signature } = await provider.sign({ keyId, message });
      expect(await provider.verify({ keyId, message, signature })).toBe(true);
    }
    expect(faulty.calls("C_Login")).toBe(1 + 3);
  });

  test("trap 2d.14: CKR_SESSION_COUNT for another session leaves it at those there are", async () => {
    const provider = await provide({ ...faulty, maxSessions: 4 });
    const { keyId } = await provider.createKey({ algorithm: "ecdsa-p256", usage: "signing" });
    faulty.fault("C_OpenSession", "0xb1");
    const calls = (): Promise<unknown>[] =>
      Array.from({ length: 200 }, () => provider.sign({ keyId, message }));
    await Promise.all(calls());
    await Promise.all(calls());
    expect(moduleProcesses()).toHaveLength(1);
    const first = await provide(faulty);
    await expect(first.describeToken()).rejects.toMatchObject({ code: "ERR_RATE_LIMITED" });
  });

  test("trap 2d.16: RSA-OAEP is refused with SHA-256, which SoftHSM lacks, and SHA-1 only if asked for", async () => {
    const provider = await provide();
    const call = provider.createKey({ algorithm: "rsa-2048", usage: "encryption" });
    await expect(call).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
    const old = await provide({ oaepHash: "sha1" });
    const { keyId } = await old.createKey({ algorithm: "rsa-2048", usage: "encryption" });
    await roundTrips(old, keyId, 256 - 2 * 20 - 2 - 32);
    await expect(provider.encrypt({ keyId, plaintext: message })).rejects.toMatchObject({
      code: "ERR_UNSUPPORTED",
      context: { hint: expect.stringContaining("sha1") },
    });
    await expect(old.sign({ keyId, message })).rejects.toMatchObject({ code: "ERR_KEY_USAGE" });
  });

  test("createKey refuses a name on another token or of another class", async () => {
    const provider = await provide();
    for (const keyId of ["token=other;object=k", "object=k;type=secret-key"]) {
      await expect(
        provider.createKey({ keyId, algorithm: "ecdsa-p256", usage: "signing" }),
      ).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    }
  });

  test("trap 2d.17: keys stay on the token, show themselves to nobody, and there is no export", async () => {
    const provider = await provide();
    for (const [algorithm, usage] of [
      ["aes-256-gcm", "encryption"],
      ["hmac-sha256", "mac"],
      ["ecdsa-p256", "signing"],
      ["rsa-2048", "signing"],
    ] as const) {
      const { keyId } = await provider.createKey({ algorithm, usage });
      const flags = onToken(
        hsm,
        `const [k] = find([{ type: p.CKA_ID, value: Buffer.from("${idOf(keyId)}", "hex") }, { type: p.CKA_PRIVATE, value: true }]);
         return [p.CKA_TOKEN, p.CKA_PRIVATE, p.CKA_SENSITIVE, p.CKA_EXTRACTABLE].map((type) => m.C_GetAttributeValue(s, k, [{ type }])[0].value[0]);`,
      );
      expect(flags).toEqual([1, 1, 1, 0]);
    }
    await expect(
      createCryptoClient({ provider }).rotateKey({ keyId: "any" }),
    ).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
  });

  test("trap 2d.18: the PIN is in no argument and no environment of the child", async () => {
    const pin = "a-pin-to-look-for";
    const other = makeSoftHsm([]);
    other.addToken("t1", pin);
    process.env["LANGO_PKCS11_PIN"] = pin;
    process.env["NODE_DEBUG"] = "lango-test";
    try {
      const provider = await provide({ ...other, pin: Buffer.from(pin) });
      await provider.random({ bytes: 8 });
      const pids = moduleProcesses();
      expect(pids).toHaveLength(1);
      const { stdout } = spawnSync("ps", ["-o", "args=", "-p", String(pids[0])]);
      const environment = readFileSync(`/proc/${pids[0]}/environ`, "utf8");
      expect(`${stdout}${environment}`).not.toContain(pin);
      // Options for Node could have the child load something else.
      expect(environment).not.toMatch(/(^|\0)(NODE|LANGO)_/);
    } finally {
      delete process.env["NODE_DEBUG"];
      delete process.env["LANGO_PKCS11_PIN"];
      other.remove();
    }
  });

  test("AES key wrap (RFC 5649) where it is asked for, under the number that the token has", async () => {
    const provider = await provide({ keyWrap: "aes-kwp" });
    const { keyId } = await provider.createKey({ algorithm: "aes-256-gcm", usage: "encryption" });
    for (const length of [16, 32, 40]) {
      const key = new Uint8Array(length).fill(length);
      const { wrappedKey } = await provider.wrapKey({ keyId, key });
      expect(wrappedKey).toHaveLength(1 + length + 8);
      expect(await provider.unwrapKey({ keyId, wrappedKey })).toEqual(key);
      const altered = wrappedKey.slice();
      altered[9]! ^= 1;
      const call = provider.unwrapKey({ keyId, wrappedKey: altered });
      await expect(call).rejects.toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
    }
    expect(provider.capabilities.wrapAad).toBe(false);
    await expect(provider.wrapKey({ keyId, key: new Uint8Array(20) })).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
    });
    const call = provider.wrapKey({ keyId, key: new Uint8Array(32), aad: message });
    await expect(call).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
  });

  test("a full queue is ERR_RATE_LIMITED", async () => {
    const provider = await provide({ maxCalls: 4 });
    const calls = Array.from({ length: 6 }, () => provider.random({ bytes: 8 }));
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.map(({ status }) => status).sort()).toEqual([
      "fulfilled",
      "fulfilled",
      "fulfilled",
      "fulfilled",
      "rejected",
      "rejected",
    ]);
    const rejected = outcomes.find(({ status }) => status === "rejected");
    expect(rejected).toMatchObject({ reason: { code: "ERR_RATE_LIMITED" } });
  });

  test("a key id of another token is not found, without a look at this one", async () => {
    const provider = await provide();
    const call = provider.sign({ keyId: "token=other;object=k", message });
    await expect(call).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
  });
});

const idOf = (keyId: string): string => /id=([^;]+)/.exec(keyId)![1]!.replaceAll("%", "");

async function roundTrips(
  provider: Required<Pkcs11Provider>,
  keyId: string,
  room: number,
): Promise<void> {
  for (const length of [0, 1, room]) {
    const plaintext = new Uint8Array(length).fill(7);
    const { ciphertext } = await provider.encrypt({ keyId, plaintext, aad: message });
    expect(await provider.decrypt({ keyId, ciphertext, aad: message })).toEqual(plaintext);
    for (const wrong of [
      () => provider.decrypt({ keyId, ciphertext }),
      () => provider.unwrapKey({ keyId, wrappedKey: ciphertext, aad: message }),
      () => provider.decrypt({ keyId, ciphertext: ciphertext.slice(0, -1), aad: message }),
    ]) {
      await expect(wrong()).rejects.toMatchObject({ code: "ERR_DECRYPTION_FAILED" });
    }
  }
  const tooLong = provider.encrypt({ keyId, plaintext: new Uint8Array(room + 1) });
  await expect(tooLong).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
}
