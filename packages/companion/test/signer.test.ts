import { createPublicKey, randomBytes, verify } from "node:crypto";
import { type CryptoProvider, type KeyRequest, utf8 } from "@lango/crypto-core";
import { describe, expect, test, vi } from "vitest";
import { type Asked, makeKeys, makeRig, newPeer } from "./support/signer.ts";

const bytes = (length: number) => new Uint8Array(randomBytes(length));
const code = (wanted: string) => expect.objectContaining({ code: wanted });

describe("every method", () => {
  test("encrypt and decrypt, with associated data; the plaintext is zeroed", async () => {
    const rig = await makeRig();
    const secret = utf8("correct horse");
    const plaintext = secret.slice();
    const aad = utf8("row 7");
    const sealed = await rig.ask({ method: "encrypt", params: { keyId: "seal", plaintext, aad } });
    expect(sealed).toEqual({ keyId: "seal", keyVersion: "1", ciphertext: expect.any(Uint8Array) });
    expect(plaintext).toEqual(new Uint8Array(plaintext.length));
    const opened = await rig.ask({ method: "decrypt", params: { ...sealed, aad } });
    expect(opened).toEqual({ plaintext: secret });
    await expect(rig.ask({ method: "decrypt", params: sealed })).rejects.toEqual(
      code("ERR_DECRYPTION_FAILED"),
    );
    expect(rig.questions.map(({ method }) => method)).toEqual(["decrypt", "decrypt"]);
  });

  test("wrapKey and unwrapKey; the key is zeroed", async () => {
    const rig = await makeRig();
    const secret = bytes(32);
    const key = secret.slice();
    const wrapped = await rig.ask({ method: "wrapKey", params: { keyId: "seal", key } });
    expect(key).toEqual(new Uint8Array(32));
    expect(await rig.ask({ method: "unwrapKey", params: wrapped })).toEqual({ key: secret });
    expect(rig.questions.map(({ method }) => method)).toEqual(["unwrapKey"]);
  });

  test("secrets of the params are zeroed also when nothing is done with them", async () => {
    const rules = [{ methods: ["encrypt", "wrapKey"], ask: true }] as const;
    const rig = await makeRig({ policy: { rules }, prompter: { ask: async () => false } });
    const plaintext = bytes(32);
    const key = bytes(32);
    const encrypt = { method: "encrypt", params: { keyId: "seal", plaintext } } as const;
    await expect(rig.ask(encrypt)).rejects.toEqual(code("ERR_DENIED"));
    const wrap = { method: "wrapKey", params: { keyId: "seal", key } } as const;
    await expect(rig.ask(wrap)).rejects.toEqual(code("ERR_DENIED"));
    expect([plaintext, key]).toEqual([new Uint8Array(32), new Uint8Array(32)]);
    for (const { lines } of rig.questions) expect(lines[2]).toMatch(/: 32 bytes$/);
  });

  test("sign with getPublicKey, checked by Node", async () => {
    const rig = await makeRig();
    const message = utf8("deploy 1.2.3");
    const signed = await rig.ask({ method: "sign", params: { keyId: "sign", message } });
    expect(signed).toMatchObject({ keyVersion: "1", algorithm: "ecdsa-p256-sha256" });
    const { publicKey } = await rig.ask({ method: "getPublicKey", params: { keyId: "sign" } });
    const key = createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
    const options = { key, dsaEncoding: "ieee-p1363" } as const;
    expect(verify("sha256", message, options, signed.signature)).toBe(true);
  });

  test("mac, by the current version only", async () => {
    const keys = await makeKeys();
    const rig = await makeRig({ keys });
    const message = utf8("m");
    const made = await rig.ask({ method: "mac", params: { keyId: "tag", message } });
    expect(await keys.verifyMac?.({ keyId: "tag", message, mac: made.mac })).toBe(true);
    const params = { keyId: "tag", message, keyVersion: "9" };
    await expect(rig.ask({ method: "mac", params })).rejects.toEqual(code("ERR_UNSUPPORTED"));
  });

  test("status tells the name, the keys that the device sees, and whether it asks", async () => {
    const rig = await makeRig();
    expect(await rig.ask({ method: "status", params: {} })).toEqual({
      name: "phone",
      asks: true,
      keys: 4,
    });
    const methods = ["sign", "decrypt"] as const;
    const quiet = await makeRig({ policy: { rules: [{ methods, ask: false }] } });
    expect(await quiet.ask({ method: "status", params: {} })).toMatchObject({ asks: false });
  });

  test("sign takes exactly one of message and digest", async () => {
    const rig = await makeRig();
    for (const input of [{}, { message: bytes(3), digest: bytes(32) }]) {
      const params = { keyId: "sign", ...input };
      await expect(rig.ask({ method: "sign", params })).rejects.toEqual(
        code("ERR_INVALID_ARGUMENT"),
      );
    }
    expect(rig.questions).toEqual([]);
  });

  test("rollover is of the channel, not of the signer", async () => {
    const rig = await makeRig();
    const params = { certificate: bytes(8), signature: bytes(64) };
    await expect(rig.ask({ method: "rollover", params })).rejects.toEqual(code("ERR_UNSUPPORTED"));
  });
});

describe("listKeys", () => {
  test("pages of 256, by id, without losing or repeating one", async () => {
    const real = await makeKeys();
    const template = await real.describeKey({ keyId: "sign" });
    const ids = Array.from({ length: 600 }, (_, i) => `key-${(i * 7919) % 600}`);
    const keys: CryptoProvider = {
      ...real,
      async *listKeys() {
        for (const keyId of ids) yield { ...template, keyId, arn: "more than the protocol tells" };
      },
    };
    const rig = await makeRig({ keys });
    const found: string[] = [];
    const sizes: number[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await rig.ask({ method: "listKeys", params: { cursor } });
      sizes.push(page.keys.length);
      found.push(...page.keys.map(({ keyId }) => keyId));
      for (const key of page.keys) expect(key).not.toHaveProperty("arn");
      cursor = page.cursor;
      if (cursor === undefined) break;
    }
    expect(sizes).toEqual([256, 256, 88]);
    expect(found).toEqual(ids.toSorted());
  });

  test("pages that fit into a frame, without ids that no request could name", async () => {
    const real = await makeKeys();
    const template = await real.describeKey({ keyId: "sign" });
    const longId = (i: number) => `${i}`.padStart(3, "0") + "é".repeat(509);
    const keys: CryptoProvider = {
      ...real,
      async *listKeys() {
        for (let i = 0; i < 200; i++) yield { ...template, keyId: longId(i) };
        yield { ...template, keyId: "x".repeat(513) };
      },
    };
    const rig = await makeRig({ keys });
    const first = await rig.ask({ method: "listKeys", params: {} });
    expect(JSON.stringify(first.keys).length).toBeLessThan(131_072);
    const second = await rig.ask({ method: "listKeys", params: { cursor: first.cursor } });
    const ids = [...first.keys, ...second.keys].map(({ keyId }) => keyId);
    expect(second.cursor).toBeUndefined();
    expect(ids).toEqual(Array.from({ length: 200 }, (_, i) => longId(i)));
  });

  test("one key, or none", async () => {
    const rig = await makeRig();
    const { keys } = await rig.ask({ method: "listKeys", params: { keyId: "tag" } });
    expect(keys).toMatchObject([{ keyId: "tag", algorithm: "hmac-sha256", state: "enabled" }]);
    await expect(rig.ask({ method: "listKeys", params: { keyId: "none" } })).rejects.toEqual(
      code("ERR_KEY_NOT_FOUND"),
    );
  });
});

describe("policy", () => {
  const plaintext = utf8("x");

  test("a device sees its own keys alone, and nobody sees reserved ones", async () => {
    const keys = await makeKeys();
    for (const keyId of [
      "system/audit",
      "wallet/main",
      "default",
      "local:system/a",
      "local:wallet/a",
    ]) {
      await keys.createKey?.({ keyId, algorithm: "aes-256-gcm", usage: "encryption" });
    }
    const bound = newPeer();
    const rig = await makeRig({
      keys,
      policy: { reserved: ["default"], keys: { [bound.id]: ["seal", "default", "system/audit"] } },
    });
    const idsFor = async (peer: typeof bound) =>
      (await rig.ask({ method: "listKeys", params: {}, peer })).keys.map(({ keyId }) => keyId);
    expect(await idsFor(bound)).toEqual(["seal"]);
    expect(await idsFor(rig.peer)).toEqual(["coins", "seal", "sign", "tag"]);
    for (const [peer, keyId] of [
      [bound, "sign"],
      [bound, "default"],
      [rig.peer, "default"],
      [rig.peer, "system/audit"],
      [rig.peer, "wallet/main"],
      [rig.peer, "local:system/a"],
      [rig.peer, "local:wallet/a"],
    ] as const) {
      for (const asked of [
        { method: "encrypt", params: { keyId, plaintext }, peer },
        { method: "decrypt", params: { keyId, ciphertext: bytes(40) }, peer },
        { method: "getPublicKey", params: { keyId }, peer },
        { method: "listKeys", params: { keyId }, peer },
      ] as const) {
        await expect(rig.ask(asked)).rejects.toEqual(code("ERR_KEY_NOT_FOUND"));
      }
    }
    expect(rig.questions).toEqual([]);
  });

  test("the first rule that fits decides; without one, keys are not used unasked", async () => {
    const friend = newPeer();
    const rig = await makeRig({
      policy: {
        rules: [
          { peer: friend.id, key: "sign", methods: ["sign"], ask: false },
          { methods: ["encrypt"], ask: true },
          { methods: ["encrypt"], ask: false },
        ],
      },
    });
    const sign = { method: "sign", params: { keyId: "sign", message: plaintext } } as const;
    await rig.ask({ ...sign, peer: friend });
    expect(rig.questions).toHaveLength(0);
    await rig.ask(sign);
    await rig.ask({ method: "mac", params: { keyId: "tag", message: plaintext }, peer: friend });
    await rig.ask({ method: "encrypt", params: { keyId: "seal", plaintext } });
    expect(rig.questions.map(({ method }) => method)).toEqual(["sign", "mac", "encrypt"]);
    expect(rig.events.map(({ asked }) => asked)).toEqual([false, true, true, true]);
  });

  test("a key is named as the provider names it: an alias would pass by what is said of the key", async () => {
    const real = await makeKeys();
    const alias = <R extends { keyId: string }>(request: R) => ({
      ...request,
      keyId: request.keyId.replace("alias/", ""),
    });
    const used = vi.fn();
    const sign: CryptoProvider["sign"] = async (request) => {
      used(request.keyId);
      return await real.sign!(alias(request));
    };
    const decrypt: CryptoProvider["decrypt"] = async (request) => {
      used(request.keyId);
      return await real.decrypt!(alias(request));
    };
    const describeKey = vi.fn((request: KeyRequest) => real.describeKey(alias(request)));
    const rules = [{ methods: ["sign", "decrypt"], ask: false }] as const;
    const policy = { rules, wallets: ["coins"], reserved: ["seal"] };
    const rig = await makeRig({ keys: { ...real, sign, decrypt, describeKey }, policy });
    const missing = code("ERR_KEY_NOT_FOUND");
    const digest = bytes(32);
    const blind = { method: "sign", params: { keyId: "alias/coins", digest } } as const;
    await expect(rig.ask(blind)).rejects.toEqual(missing);
    const hidden = { method: "decrypt", params: { keyId: "alias/seal", ciphertext: digest } };
    await expect(rig.ask(hidden as Asked<"decrypt">)).rejects.toEqual(missing);
    expect(used).not.toHaveBeenCalled();
    // By its own name; after the first time nothing is asked of the provider for it.
    const plain = { method: "sign", params: { keyId: "sign", digest } } as const;
    for (let times = 0; times < 3; times++) await rig.ask(plain);
    expect(describeKey.mock.calls.filter(([{ keyId }]) => keyId === "sign")).toHaveLength(1);
  });

  test("no rule answers an approval", async () => {
    const policy = { rules: [{ methods: ["sign", "approval.request"], ask: false }] } as const;
    await expect(makeRig({ policy })).rejects.toEqual(code("ERR_CONFIG"));
  });

  test("faults of the provider pass with their code, those that are not ours without their text", async () => {
    const secret = "hunter2-in-a-message";
    const real = await makeKeys();
    const keys: CryptoProvider = {
      ...real,
      sign: () => Promise.reject(new Error(secret)),
    };
    const rig = await makeRig({ keys });
    const params = { keyId: "sign", message: plaintext };
    const failed = await rig.ask({ method: "sign", params }).catch((error: unknown) => error);
    expect(failed).toEqual(code("ERR_INTERNAL"));
    expect(String((failed as Error).stack)).not.toContain(secret);
    const usage = { method: "mac", params: { keyId: "sign", message: plaintext } } as const;
    await expect(rig.ask(usage)).rejects.toEqual(code("ERR_KEY_USAGE"));
    rig.questions.length = 0;
    const unknown = {
      method: "decrypt",
      params: { keyId: "nope", ciphertext: plaintext },
    } as const;
    await expect(rig.ask(unknown)).rejects.toEqual(code("ERR_KEY_NOT_FOUND"));
    expect(rig.questions).toEqual([]);
    expect(rig.events.map(({ outcome }) => outcome)).toEqual([
      "ERR_INTERNAL",
      "ERR_KEY_USAGE",
      "ERR_KEY_NOT_FOUND",
    ]);
    expect(JSON.stringify(rig.events)).not.toContain("nope");
  });
});
