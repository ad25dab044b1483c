import { ECDSA_CURVES, toHex } from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import { crc } from "./stand-in/crc.ts";
import type { Message } from "./stand-in/kms.ts";
import { Fault } from "./stand-in/resources.ts";
import { keyRing, withStandIn } from "./with-stand-in.ts";

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

describe("trap 2b.6: sizes", () => {
  test("the largest plaintext and the largest AAD together fit HSM keys, which take 8 KiB", async () => {
    const keyId = await bench.addKey("GOOGLE_SYMMETRIC_ENCRYPTION", "HSM");
    const provider = bench.provider();
    const { maxPlaintextBytes, maxAadBytes } = provider.capabilities;
    const plaintext = new Uint8Array(maxPlaintextBytes).fill(1);
    const aad = new Uint8Array(maxAadBytes).fill(2);
    const { ciphertext } = await provider.encrypt({ keyId, plaintext, aad });
    expect(await provider.decrypt({ keyId, ciphertext, aad })).toEqual(plaintext);
  });

  test("a message that the service signs or authenticates itself has its limit", async () => {
    const provider = bench.provider();
    const limits: readonly [string, "SOFTWARE" | "HSM", number][] = [
      ["HMAC_SHA256", "SOFTWARE", 65_536],
      ["HMAC_SHA256", "HSM", 16_384],
      ["EC_SIGN_ED25519", "SOFTWARE", 65_536],
    ];
    for (const [algorithm, level, limit] of limits) {
      const keyId = await bench.addKey(algorithm, level);
      const call = (bytes: number) => {
        const request = { keyId, message: new Uint8Array(bytes) };
        return algorithm === "HMAC_SHA256" ? provider.mac(request) : provider.sign(request);
      };
      await expect(call(limit)).resolves.toBeDefined();
      await expect(call(limit + 1)).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    }
    // A message that is hashed here has none.
    const keyId = await bench.addKey("EC_SIGN_P256_SHA256");
    await expect(provider.sign({ keyId, message: new Uint8Array(100_000) })).resolves.toBeDefined();
  });
});

describe("trap 2b.7: digest or data", () => {
  const sent = async (algorithm: string): Promise<Message> => {
    const keyId = await bench.addKey(algorithm);
    let request: Message = {};
    bench.standIn.rules.push({
      method: "asymmetricSign",
      request: (each) => {
        request = each;
        return each;
      },
    });
    await bench.provider().sign({ keyId, message });
    return request;
  };

  test("a hash is made here, and the message stays here; Ed25519 takes the message", async () => {
    const ecdsa = await sent("EC_SIGN_P384_SHA384");
    expect(ecdsa["digest"].sha384).toHaveLength(48);
    expect(ecdsa["data"]).toHaveLength(0);
    bench.standIn.rules.length = 0;
    const ed = await sent("EC_SIGN_ED25519");
    expect(ed["digest"]).toBeNull();
    expect([...ed["data"]]).toEqual([...message]);
  });

  test("keys beyond the service (EXTERNAL) take the message, and no digest", async () => {
    const keyId = await bench.addKey("EC_SIGN_P256_SHA256");
    const external = (each: Message) => ({ ...each, protectionLevel: "EXTERNAL" });
    bench.standIn.rules.push({
      method: "listCryptoKeyVersions",
      response: (each) => ({ ...each, cryptoKeyVersions: each["cryptoKeyVersions"].map(external) }),
    });
    const requests: Message[] = [];
    bench.standIn.rules.push({
      method: "asymmetricSign",
      request: (each) => {
        requests.push(each);
        return each;
      },
    });
    const provider = bench.provider();
    // The stand-in has no such keys: what it was sent is the point.
    await provider.sign({ keyId, message }).catch(() => {});
    expect(requests[0]!["digest"]).toBeNull();
    expect([...requests[0]!["data"]]).toEqual([...message]);
    const call = provider.sign({ keyId, digest: new Uint8Array(32) });
    await expect(call).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
  });

  test("a digest of another hash is refused here", async () => {
    const keyId = await bench.addKey("EC_SIGN_P256_SHA256");
    const call = bench.provider().sign({ keyId, digest: new Uint8Array(48) });
    await expect(call).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    expect(bench.count("asymmetricSign")).toBe(0);
  });
});

describe("trap 2b.8: ECDSA", () => {
  test("DER becomes r‖s, and an s of secp256k1 that is high becomes low", async () => {
    const keyId = await bench.addKey("EC_SIGN_SECP256K1_SHA256", "HSM");
    const provider = bench.provider();
    const { order } = ECDSA_CURVES.secp256k1;
    let high = 0;
    for (let call = 0; call < 24; call++) {
      bench.standIn.rules.splice(0, 9, {
        method: "asymmetricSign",
        response: (each) => {
          const der: Uint8Array = each["signature"];
          const length = der[5 + der[3]!]!;
          const s = BigInt(`0x${toHex(der.subarray(6 + der[3]!, 6 + der[3]! + length))}`);
          if (s > order / 2n) high++;
          return each;
        },
      });
      const { signature } = await provider.sign({ keyId, message });
      expect(signature).toHaveLength(64);
      expect(BigInt(`0x${toHex(signature.subarray(32))}`) <= order / 2n).toBe(true);
      expect(await provider.verify({ keyId, message, signature })).toBe(true);
    }
    // All low would come once in 2^24 runs.
    expect(high).toBeGreaterThan(0);
  });

  test("secp256k1 keys are made in an HSM, others where the options say", async () => {
    const provider = bench.provider();
    const k1 = await provider.createKey({ algorithm: "secp256k1", usage: "signing" });
    expect(k1.protection).toBe("hsm");
    const p256 = await provider.createKey({ algorithm: "ecdsa-p256", usage: "signing" });
    expect(p256.protection).toBe("remote");
    const inHsm = bench.provider({ newKeyProtection: "hsm" });
    expect((await inHsm.createKey({ algorithm: "hmac-sha256", usage: "mac" })).protection).toBe(
      "hsm",
    );
  });

  test("a signature that is no DER, and a public key that is no PEM, are not passed on", async () => {
    const keyId = await bench.addKey("EC_SIGN_P256_SHA256");
    const provider = bench.provider();
    bench.standIn.rules.push({
      method: "asymmetricSign",
      response: (each) => ({
        ...each,
        signature: message,
        signatureCrc32c: { value: crc(message) },
      }),
    });
    await expect(provider.sign({ keyId, message })).rejects.toMatchObject({
      code: "ERR_INTEGRITY",
    });
    const pem = "no PEM";
    bench.standIn.rules.push({
      method: "getPublicKey",
      response: (each) => ({ ...each, pem, pemCrc32c: { value: crc(Buffer.from(pem)) } }),
    });
    const call = provider.getPublicKey({ keyId });
    await expect(call).rejects.toMatchObject({ code: "ERR_INTEGRITY" });
  });
});

test("trap 2b.9: the AAD goes as bytes of its own, whatever they are", async () => {
  const keyId = await bench.addKey();
  const provider = bench.provider();
  const aad = Uint8Array.from({ length: 256 }, (_, index) => index);
  let seen: Uint8Array | undefined;
  bench.standIn.rules.push({
    method: "encrypt",
    request: (each) => {
      seen = each["additionalAuthenticatedData"];
      return each;
    },
  });
  await provider.encrypt({ keyId, plaintext: message, aad });
  expect([...seen!]).toEqual([...aad]);
});

describe("trap 2b.12: keys that this provider does not use", () => {
  test("are left out of the list, have no description, and encrypt nothing", async () => {
    const keyId = await bench.addKey(
      "RSA_DECRYPT_OAEP_2048_SHA256",
      "SOFTWARE",
      "ASYMMETRIC_DECRYPT",
    );
    const provider = bench.provider();
    const listed: string[] = [];
    for await (const key of provider.listKeys({})) listed.push(key.keyId);
    expect(listed).not.toContain(keyId);
    expect(listed.length).toBeGreaterThan(3);
    await expect(provider.describeKey({ keyId })).rejects.toMatchObject({
      code: "ERR_UNSUPPORTED",
    });
    await expect(provider.rotateKey({ keyId })).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
    const encrypt = provider.encrypt({ keyId, plaintext: message });
    await expect(encrypt).rejects.toMatchObject({ code: "ERR_KEY_USAGE" });
    await expect(provider.sign({ keyId, message })).rejects.toMatchObject({
      code: "ERR_KEY_USAGE",
    });
  });

  test("verify of a digest is refused: nobody can check it", async () => {
    const keyId = await bench.addKey("EC_SIGN_P256_SHA256");
    const request = { keyId, digest: new Uint8Array(32), signature: new Uint8Array(64) };
    const call = bench.provider().verify(request);
    await expect(call).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
  });
});

test("random asks for 8 bytes where fewer are wanted", async () => {
  const lengths: number[] = [];
  bench.standIn.rules.push({
    method: "generateRandomBytes",
    request: (each) => {
      lengths.push(each["lengthBytes"]);
      return each;
    },
  });
  const provider = bench.provider();
  for (const bytes of [1, 7, 8, 9]) expect(await provider.random({ bytes })).toHaveLength(bytes);
  expect(lengths).toEqual([8, 8, 8, 9]);
});

test("the routing header names the resource", async () => {
  const key = await bench.addKey();
  bench.standIn.headers.length = 0;
  await bench.provider().encrypt({ keyId: key, plaintext: message });
  await bench.provider().random({ bytes: 8 });
  expect(bench.standIn.headers.map(({ routing }) => decodeURIComponent(routing))).toEqual([
    `name=${key}`,
    `location=${keyRing.slice(0, keyRing.indexOf("/keyRings"))}`,
  ]);
});
