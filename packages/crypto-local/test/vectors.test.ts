import assert from "node:assert/strict";
import { createHash, createPublicKey } from "node:crypto";
import { runVectors, type VectorCase } from "@lango/crypto-conformance/vectors";
import {
  concat,
  createAesKey,
  fromHex,
  isCryptoError,
  openAesGcm,
  sealAesGcmInto,
  toHex,
} from "@lango/crypto-core";
import { expect, test } from "vitest";
import { createLocalProvider, importKeyMaterial, type LocalKeyAlgorithm } from "../src/index.ts";
import { sign, verify } from "../src/signing.ts";

const hex = (text: string) => fromHex(text) ?? assert.fail("the vector is no hexadecimal");

interface AeadCase {
  ivSize: number;
  keySize: number;
  key: string;
  iv: string;
  aad: string;
  msg: string;
  ct: string;
  tag: string;
}

test("Wycheproof: AES-256-GCM of crypto-core, which seals here", async () => {
  const count = await runVectors<AeadCase>("wycheproof/aes_gcm_test", {
    leaveOut({ ivSize, keySize }) {
      if (keySize !== 256) return "keys have 256 bits here";
      return ivSize === 96 ? undefined : "nonces have 96 bits here";
    },
    run(vector) {
      const key = createAesKey(hex(vector.key));
      const [iv, aad, msg] = [hex(vector.iv), hex(vector.aad), hex(vector.msg)];
      const sealed = concat(hex(vector.ct), hex(vector.tag));
      if (vector.result === "invalid") {
        assert.throws(() => openAesGcm(key, iv, aad, sealed), isDecryptionFailure);
        return;
      }
      assert.equal(toHex(openAesGcm(key, iv, aad, sealed)), vector.msg);
      const out = new Uint8Array(sealed.length);
      sealAesGcmInto(key, iv, aad, msg, out, 0);
      assert.equal(toHex(out), toHex(sealed));
    },
  });
  expect(count).toBe(66);
});

interface SignatureCase {
  publicKeyDer: string;
  msg: string;
  sig: string;
}

const ecdsa = [
  ["ecdsa-p256", "wycheproof/ecdsa_secp256r1_sha256_p1363_test", "sha256", 262],
  ["ecdsa-p384", "wycheproof/ecdsa_secp384r1_sha384_p1363_test", "sha384", 280],
  ["secp256k1", "wycheproof/ecdsa_secp256k1_sha256_p1363_test", "sha256", 252],
] as const;

test.each(ecdsa)(
  "Wycheproof: verify %s, the message and its digest",
  async (algorithm, name, hash, cases) => {
    const count = await runVectors<SignatureCase>(name, {
      async run(vector) {
        const key = publicKey(vector);
        const message = hex(vector.msg);
        const digest = createHash(hash).update(message).digest();
        const expected = accepted(vector);
        for (const input of [{ message }, { digest }]) {
          const actual = await verify(algorithm, key, input, hex(vector.sig));
          assert.equal(actual, expected, Object.keys(input)[0]);
        }
      },
    });
    expect(count).toBe(cases);
  },
);

test("Wycheproof: verify ed25519", async () => {
  const count = await runVectors<SignatureCase>("wycheproof/ed25519_test", {
    async run(vector) {
      const input = { message: hex(vector.msg) };
      const actual = await verify("ed25519", publicKey(vector), input, hex(vector.sig));
      assert.equal(actual, accepted(vector));
    },
  });
  expect(count).toBe(151);
});

interface MacCase {
  keySize: number;
  tagSize: number;
  key: string;
  msg: string;
  tag: string;
}

const macs = [
  ["hmac-sha256", "wycheproof/hmac_sha256_test", 256],
  ["hmac-sha384", "wycheproof/hmac_sha384_test", 384],
  ["hmac-sha512", "wycheproof/hmac_sha512_test", 512],
] as const;

test.each(macs)("Wycheproof: %s", async (algorithm, name, bits) => {
  await runVectors<MacCase>(name, {
    leaveOut({ keySize, tagSize }) {
      if (keySize !== bits) return `keys have ${bits} bits here`;
      return tagSize === bits ? undefined : "MACs are not truncated here";
    },
    async run(vector) {
      const keys = [{ id: "k", algorithm, versions: [{ version: 1, material: hex(vector.key) }] }];
      const provider = createLocalProvider({ keys });
      const request = { keyId: "k", message: hex(vector.msg) };
      const verified = await provider.verifyMac!({ ...request, mac: hex(vector.tag) });
      assert.equal(verified, accepted(vector));
      const { mac } = await provider.mac!(request);
      assert.equal(toHex(mac) === vector.tag, accepted(vector));
    },
  });
});

interface DeterministicCase {
  keyAlgorithm: LocalKeyAlgorithm;
  key: string;
  msg: string;
  sig: string;
}

test("RFC 6979: a digest is signed with the nonce that it and the key determine", async () => {
  const count = await runVectors<DeterministicCase>("rfc/rfc6979_ecdsa", {
    async run({ keyAlgorithm, key, msg, sig }) {
      const privateKey = importKeyMaterial(keyAlgorithm, hex(key));
      const hash = keyAlgorithm === "ecdsa-p384" ? "sha384" : "sha256";
      const digest = createHash(hash).update(hex(msg)).digest();
      assert.equal(toHex(await sign(keyAlgorithm, privateKey, { digest })), sig);
    },
  });
  expect(count).toBe(4);
});

const publicKey = ({ publicKeyDer }: SignatureCase) =>
  createPublicKey({ key: Buffer.from(publicKeyDer, "hex"), format: "der", type: "spki" });

/** None of these files holds a case that is merely `acceptable`. */
function accepted({ result }: VectorCase): boolean {
  assert.notEqual(result, "acceptable");
  return result === "valid";
}

const isDecryptionFailure = (error: unknown) =>
  isCryptoError(error) && error.code === "ERR_DECRYPTION_FAILED";
