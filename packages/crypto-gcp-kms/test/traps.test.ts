import { ECDSA_CURVES, toHex } from "@lango/crypto-core";
import { describe, expect, test } from "vitest";
import { crc } from "./stand-in/crc.ts";
import type { Message } from "./stand-in/kms.ts";
import { keyRing, withStandIn } from "./with-stand-in.ts";

const bench = withStandIn();
const message = new TextEncoder().encode("sixteen bytes ..");

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
