import { toHex } from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import type { Message } from "./stand-in/kms.ts";
import { Fault } from "./stand-in/resources.ts";
import { withStandIn } from "./with-stand-in.ts";

const bench = withStandIn();
const message = new TextEncoder().encode("sixteen bytes ..");
const at = (key: string, version: number): string => `${key}/cryptoKeyVersions/${version}`;

describe("trap 2b.3: keys and versions", () => {
  test("encrypt takes a version, decrypt strips it, and the result names the key and the version", async () => {
    const key = await bench.addKey();
    await bench.addVersions(key, 2);
    const provider = bench.provider();
    const pinned = await provider.encrypt({ keyId: at(key, 2), plaintext: message });
    expect(pinned).toMatchObject({ keyId: key, keyVersion: "2" });
    const primary = await provider.encrypt({ keyId: key, plaintext: message });
    expect(primary).toMatchObject({ keyId: key, keyVersion: "1" });
    for (const keyId of [key, at(key, 2), at(key, 3)]) {
      expect(await provider.decrypt({ keyId, ciphertext: pinned.ciphertext })).toEqual(message);
    }
  });

  test("sign, mac and getPublicKey take the version that is named", async () => {
    const signing = await bench.addKey("EC_SIGN_P256_SHA256");
    const hmac = await bench.addKey("HMAC_SHA256");
    for (const key of [signing, hmac]) await bench.addVersions(key, 2);
    const provider = bench.provider();
    expect(await provider.sign({ keyId: at(signing, 2), message })).toMatchObject({
      keyId: signing,
      keyVersion: "2",
    });
    expect(await provider.mac({ keyId: at(hmac, 1), message })).toMatchObject({ keyVersion: "1" });
    const keys = await Promise.all([
      provider.getPublicKey({ keyId: at(signing, 2) }),
      provider.getPublicKey({ keyId: signing, keyVersion: "2" }),
      provider.getPublicKey({ keyId: signing }),
    ]);
    expect(keys.map(({ keyVersion }) => keyVersion)).toEqual(["2", "2", "3"]);
    expect(toHex(keys[0].publicKey)).toBe(toHex(keys[1].publicKey));
    expect(toHex(keys[0].publicKey)).not.toBe(toHex(keys[2].publicKey));
    const { mac, keyVersion } = await provider.mac({ keyId: hmac, message });
    const older = { keyId: hmac, message, mac };
    expect(await provider.verifyMac({ ...older, keyVersion })).toBe(true);
    expect(await provider.verifyMac({ ...older, keyVersion: "1" })).toBe(false);
  });

  test("two different versions in one request, and a version that is none, are refused", async () => {
    const key = await bench.addKey("EC_SIGN_P256_SHA256");
    const provider = bench.provider();
    await expect(
      provider.getPublicKey({ keyId: at(key, 1), keyVersion: "2" }),
    ).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    for (const keyVersion of ["latest", "0", "7"]) {
      await expect(provider.getPublicKey({ keyId: key, keyVersion })).rejects.toMatchObject({
        code: "ERR_KEY_NOT_FOUND",
      });
    }
  });
});

describe("trap 2b.4: the newest version", () => {
  test("is the one with the largest number: 10 comes after 9", async () => {
    const key = await bench.addKey("EC_SIGN_P256_SHA256");
    await bench.addVersions(key, 9);
    expect(await bench.provider().sign({ keyId: key, message })).toMatchObject({
      keyVersion: "10",
    });
    // The listing has pages of three.
    expect(bench.count("listCryptoKeyVersions")).toBe(4);
  });

  test("that is enabled, also for describeKey", async () => {
    const key = await bench.addKey("HMAC_SHA512");
    await bench.addVersions(key, 4);
    bench.setState(key, 5, "DISABLED");
    bench.setState(key, 4, "PENDING_GENERATION");
    bench.standIn.resources.version(at(key, 4)).version.pendingPolls = 99;
    const provider = bench.provider();
    expect(await provider.mac({ keyId: key, message })).toMatchObject({ keyVersion: "3" });
    expect(await provider.describeKey({ keyId: key })).toMatchObject({ keyVersion: "3" });
  });

  test("is remembered: a signature is one call, and calls at the same time look once", async () => {
    const key = await bench.addKey("EC_SIGN_P256_SHA256");
    const provider = bench.provider();
    await Promise.all(Array.from({ length: 20 }, () => provider.sign({ keyId: key, message })));
    await provider.sign({ keyId: key, message });
    expect(bench.count("listCryptoKeyVersions")).toBe(1);
    expect(bench.count("asymmetricSign")).toBe(21);
  });

  test("is looked for each time with versionCacheMs: 0", async () => {
    const key = await bench.addKey("EC_SIGN_P256_SHA256");
    const provider = bench.provider({ versionCacheMs: 0 });
    await provider.sign({ keyId: key, message });
    await bench.addVersions(key, 1);
    expect(await provider.sign({ keyId: key, message })).toMatchObject({ keyVersion: "2" });
    expect(bench.count("listCryptoKeyVersions")).toBe(2);
  });

  test("the abort of one call does not end the look that others wait for", async () => {
    const key = await bench.addKey("EC_SIGN_P256_SHA256");
    bench.standIn.rules.push({ method: "listCryptoKeyVersions", delayMs: 100 });
    const provider = bench.provider();
    const controller = new AbortController();
    const aborted = provider.sign({ keyId: key, message, signal: controller.signal });
    const other = provider.sign({ keyId: key, message });
    controller.abort(new Error("not any more"));
    await expect(aborted).rejects.toThrow("not any more");
    await expect(other).resolves.toMatchObject({ keyVersion: "1" });
    expect(bench.count("listCryptoKeyVersions")).toBe(1);
  });

  test("when it is disabled meanwhile, the next one signs", async () => {
    const key = await bench.addKey("EC_SIGN_P256_SHA256");
    await bench.addVersions(key, 1);
    const provider = bench.provider();
    expect(await provider.sign({ keyId: key, message })).toMatchObject({ keyVersion: "2" });
    bench.setState(key, 2, "DISABLED");
    expect(await provider.sign({ keyId: key, message })).toMatchObject({ keyVersion: "1" });
    bench.setState(key, 1, "DESTROY_SCHEDULED");
    await expect(provider.sign({ keyId: key, message })).rejects.toMatchObject({
      code: "ERR_KEY_DISABLED",
      message: expect.stringContaining("DISABLED"),
    });
  });

  test("after rotateKey it is the new one, and older signatures verify by their version", async () => {
    const key = await bench.addKey("EC_SIGN_ED25519");
    const provider = bench.provider();
    const old = await provider.sign({ keyId: key, message });
    expect(await provider.rotateKey({ keyId: key })).toMatchObject({ keyVersion: "2" });
    const { signature, keyVersion } = await provider.sign({ keyId: key, message });
    expect(keyVersion).toBe("2");
    expect(await provider.verify({ keyId: key, message, signature })).toBe(true);
    const check = { keyId: key, message, signature: old.signature };
    expect(await provider.verify({ ...check, keyVersion: old.keyVersion })).toBe(true);
    expect(await provider.verify(check)).toBe(false);
    expect(bench.count("updateCryptoKeyPrimaryVersion")).toBe(0);
  });
});

describe("trap 2b.5: PENDING_GENERATION and DISABLED", () => {
  test("createKey and rotateKey wait until the version is enabled", async () => {
    const provider = bench.provider();
    bench.standIn.resources.pendingPolls = 2;
    for (const algorithm of ["aes-256-gcm", "ecdsa-p256"] as const) {
      const usage = algorithm === "aes-256-gcm" ? "encryption" : "signing";
      const { keyId, state } = await provider.createKey({ algorithm, usage });
      expect(state).toBe("enabled");
      const rotated = await provider.rotateKey({ keyId });
      expect(rotated).toMatchObject({ keyVersion: "2", state: "enabled" });
    }
    expect(bench.count("getCryptoKeyVersion")).toBeGreaterThan(5);
  });

  test("not longer than the time of the call, and the error says that the key exists", async () => {
    bench.standIn.resources.pendingPolls = 99;
    const call = bench
      .provider()
      .createKey({ algorithm: "aes-256-gcm", usage: "encryption", timeoutMs: 250 });
    await expect(call).rejects.toMatchObject({
      code: "ERR_TIMEOUT",
      message: expect.stringContaining("exists"),
    });
  });

  test("nor after an abort", async () => {
    bench.standIn.resources.pendingPolls = 99;
    const signal = AbortSignal.timeout(150);
    const call = bench
      .provider()
      .createKey({ algorithm: "aes-256-gcm", usage: "encryption", signal });
    const error = await call.catch((each: unknown) => each);
    expect(error).toBe(signal.reason);
  });

  test("a version that fails to be generated is told", async () => {
    bench.standIn.rules.push({
      method: "getCryptoKeyVersion",
      response: (sent: Message) => ({ ...sent, state: "GENERATION_FAILED" }),
    });
    const call = bench.provider().createKey({ algorithm: "aes-256-gcm", usage: "encryption" });
    await expect(call).rejects.toMatchObject({ code: "ERR_INTERNAL" });
  });

  const pending = async (algorithm?: string): Promise<string> => {
    bench.standIn.resources.pendingPolls = 2;
    return await bench.addKey(algorithm);
  };

  test("the use of a key whose only version is pending can be repeated, and is no unavailability", async () => {
    const signing = await pending("EC_SIGN_P256_SHA256");
    const aead = await pending();
    const provider = bench.provider();
    expect(await provider.describeKey({ keyId: signing })).toMatchObject({ state: "pending" });
    const calls = [
      () => provider.sign({ keyId: signing, message }),
      () => provider.encrypt({ keyId: aead, plaintext: message }),
    ];
    for (const call of calls) {
      await expect(call()).rejects.toMatchObject({ code: "ERR_BUSY", retryable: true });
    }
    await provider.describeKey({ keyId: signing });
    await expect(provider.sign({ keyId: signing, message })).resolves.toBeDefined();
  });

  test.each(["DISABLED", "DESTROY_SCHEDULED", "DESTROYED", "IMPORT_FAILED"])(
    "%s is ERR_KEY_DISABLED for every operation",
    async (state) => {
      const aead = await bench.addKey();
      const signing = await bench.addKey("EC_SIGN_P256_SHA256");
      const hmac = await bench.addKey("HMAC_SHA256");
      const provider = bench.provider();
      const { ciphertext } = await provider.encrypt({ keyId: aead, plaintext: message });
      for (const key of [aead, signing, hmac]) bench.setState(key, 1, state);
      const calls = [
        () => provider.encrypt({ keyId: aead, plaintext: message }),
        () => provider.decrypt({ keyId: aead, ciphertext }),
        () => provider.unwrapKey({ keyId: aead, wrappedKey: ciphertext }),
        () => provider.sign({ keyId: signing, message }),
        () => provider.getPublicKey({ keyId: signing }),
        () => provider.mac({ keyId: hmac, message }),
      ];
      for (const call of calls) {
        await expect(call()).rejects.toMatchObject({
          code: "ERR_KEY_DISABLED",
          retryable: false,
          message: expect.stringContaining(state),
        });
      }
      expect(await provider.describeKey({ keyId: aead })).toMatchObject({ state: "disabled" });
      expect(await provider.health({ keyId: aead })).toMatchObject({ healthy: false });
    },
  );

  test.each(["FAILED_PRECONDITION", "INVALID_ARGUMENT"] as const)(
    "where %s says no state, the key is looked at",
    async (status) => {
      const disabled = await bench.addKey();
      bench.setState(disabled, 1, "DISABLED");
      const signing = await bench.addKey("EC_SIGN_P256_SHA256");
      bench.standIn.rules.push({
        method: "encrypt",
        fault: new Fault(status, "It cannot be used."),
      });
      const provider = bench.provider();
      const encrypt = (keyId: string) => provider.encrypt({ keyId, plaintext: message });
      await expect(encrypt(disabled)).rejects.toMatchObject({ code: "ERR_KEY_DISABLED" });
      await expect(encrypt(signing)).rejects.toMatchObject({ code: "ERR_KEY_USAGE" });
      const denied = { method: "getCryptoKey", fault: new Fault("PERMISSION_DENIED", "No.") };
      bench.standIn.rules.push(denied);
      const code = status === "INVALID_ARGUMENT" ? "ERR_INVALID_ARGUMENT" : "ERR_KEY_DISABLED";
      await expect(encrypt(signing)).rejects.toMatchObject({ code });
    },
  );
});
