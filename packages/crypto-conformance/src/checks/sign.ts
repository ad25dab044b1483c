import assert from "node:assert/strict";
import { constants, createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import type { KeyAlgorithm, SignatureAlgorithm } from "@lango/crypto-core";
import { assertBytes, assertOwnBytes, flip, pattern, rejectsWith } from "../assertions.ts";
import type { Check, CheckContext, Need } from "../harness.ts";
import { SIGNATURE_ALGORITHMS } from "../needs.ts";

const algorithms = Object.keys(SIGNATURE_ALGORITHMS) as SignatureAlgorithm[];

/** sign, verify and getPublicKey, for every scheme of the contract. */
export const signChecks: readonly Check[] = [
  ...algorithms.flatMap(checksOf),
  {
    name: "sign: results are plain Uint8Arrays over memory of their own, inputs are not changed",
    needs: ["sign", "getPublicKey"],
    async run({ provider, keys }) {
      for (const [algorithm, keyId] of signingKeys(keys)) {
        const message = pattern(24);
        const { signature } = await provider.sign({ keyId, message, algorithm });
        assertOwnBytes(signature, [message], `the ${algorithm} signature`);
        assertBytes(message, pattern(24), "the message after sign");
        const { publicKey } = await provider.getPublicKey({ keyId });
        assertOwnBytes(publicKey, [], `the ${algorithm} public key`);
      }
    },
  },
  {
    name: "sign: without an algorithm, takes one that the key allows",
    needs: ["sign", "getPublicKey"],
    async run({ provider, keys }) {
      for (const [, keyId] of signingKeys(keys)) {
        const message = pattern(24);
        const { signature, algorithm } = await provider.sign({ keyId, message });
        const key = await publicKeyOf(provider, keyId);
        assert.ok(accepts(algorithm, key, message, signature), `no ${algorithm} signature`);
      }
    },
  },
  {
    name: "sign: refuses a scheme that the key does not allow",
    needs: ["sign"],
    async run({ client, keys }) {
      const offered = client.capabilities.signatureAlgorithms;
      for (const [algorithm, keyId] of signingKeys(keys)) {
        // One that the provider has for other keys, if there is any: then the client does not refuse it already.
        const others = [...offered, ...algorithms].filter(
          (each) => family(each) !== family(algorithm),
        );
        const call = () => client.sign({ keyId, message: pattern(24), algorithm: others[0] });
        const codes = ["ERR_UNSUPPORTED", "ERR_KEY_USAGE"] as const;
        await rejectsWith(codes, call, `sign with ${others[0]} and a key for ${algorithm}`);
      }
    },
  },
  {
    name: "sign: both or neither of message and digest are ERR_INVALID_ARGUMENT",
    needs: ["sign"],
    async run({ client, keys }) {
      const keyId = signingKeys(keys)[0]![1];
      for (const input of [{}, { message: pattern(32), digest: pattern(32) }]) {
        const call = () => client.sign({ keyId, ...input } as never);
        const what = `sign with ${Object.keys(input).length} of message and digest`;
        await rejectsWith("ERR_INVALID_ARGUMENT", call, what);
      }
    },
  },
  {
    name: "sign: a digest of another length is ERR_INVALID_ARGUMENT",
    needs: ["sign", "signDigest"],
    async run({ client, keys }) {
      for (const [algorithm, keyId] of signingKeys(keys)) {
        const hash = SIGNATURE_ALGORITHMS[algorithm];
        if (hash === undefined) continue;
        const digest = createHash(hash).update("").digest().subarray(1);
        const call = () => client.sign({ keyId, digest, algorithm });
        await rejectsWith("ERR_INVALID_ARGUMENT", call, `sign of ${digest.length} bytes`);
      }
    },
  },
  {
    name: "getPublicKey: a SubjectPublicKeyInfo of the key's own algorithm",
    needs: ["getPublicKey", "describeKey"],
    async run({ provider, keys }) {
      for (const [, keyId] of signingKeys(keys)) {
        const described = await provider.describeKey({ keyId });
        const result = await provider.getPublicKey({ keyId });
        const key = await publicKeyOf(provider, keyId);
        assert.equal(keyAlgorithm(key), described.algorithm, "describeKey says otherwise");
        assert.equal(result.algorithm, described.algorithm, "getPublicKey says otherwise");
        assert.deepEqual(
          [result.keyId, result.keyVersion],
          [keyId, described.keyVersion],
          "getPublicKey names another key or version than describeKey",
        );
        const canonical = key.export({ type: "spki", format: "der" });
        assertBytes(result.publicKey, canonical, "the public key in its canonical encoding");
      }
    },
  },
  {
    name: "getPublicKey: of a key for encryption is ERR_KEY_USAGE",
    needs: ["getPublicKey", "encrypt"],
    async run({ provider, keys }) {
      const call = () => provider.getPublicKey({ keyId: keys.aead![0] });
      await rejectsWith("ERR_KEY_USAGE", call, "getPublicKey of a symmetric key");
    },
  },
];

function checksOf(algorithm: SignatureAlgorithm): Check[] {
  const hash = SIGNATURE_ALGORITHMS[algorithm];
  const needs: readonly Need[] = ["sign", "getPublicKey", algorithm];
  const bits = Number(/p(\d+)-/.exec(algorithm)?.[1] ?? 256);
  return [
    {
      name: `sign ${algorithm}: node:crypto and openssl accept the signature, in its encoding`,
      needs,
      async run({ provider, keys, openssl }) {
        const keyId = keys.signing![algorithm]!;
        const { publicKey } = await provider.getPublicKey({ keyId });
        const key = await publicKeyOf(provider, keyId);
        for (const message of [new Uint8Array(), pattern(1), pattern(5000)]) {
          const result = await provider.sign({ keyId, message, algorithm });
          const { signature } = result;
          if (!algorithm.startsWith("rsa")) assert.equal(signature.length, bits / 4, "its length");
          assert.deepEqual([result.algorithm, result.keyId], [algorithm, keyId]);
          assert.ok(accepts(algorithm, key, message, signature), "node:crypto refuses it");
          // The command reads no empty file.
          if (openssl === undefined || message.length === 0) continue;
          const accepted = await openssl.verify(algorithm, publicKey, message, signature);
          assert.ok(accepted, `${openssl.version} refuses it`);
        }
      },
    },
    {
      name: `sign ${algorithm}: a message and its digest agree`,
      needs: [...needs, "signDigest"],
      async run({ provider, keys }) {
        const keyId = keys.signing![algorithm]!;
        const message = pattern(100);
        if (hash === undefined) {
          const call = () => provider.sign({ keyId, digest: pattern(32), algorithm });
          const codes = ["ERR_UNSUPPORTED", "ERR_INVALID_ARGUMENT"] as const;
          await rejectsWith(codes, call, `sign of a digest with ${algorithm}, which hashes itself`);
          return;
        }
        const digest = createHash(hash).update(message).digest();
        const { signature } = await provider.sign({ keyId, digest, algorithm });
        const key = await publicKeyOf(provider, keyId);
        assert.ok(accepts(algorithm, key, message, signature), "the digest was hashed again");
      },
    },
    {
      name: `verify ${algorithm}: true for its signature, false for any other`,
      needs: [...needs, "verify"],
      async run({ provider, keys }) {
        const keyId = keys.signing![algorithm]!;
        const message = pattern(100);
        const { signature } = await provider.sign({ keyId, message, algorithm });
        const check = (changes: { message?: Uint8Array; signature?: Uint8Array }) =>
          provider.verify({ keyId, message, signature, algorithm, ...changes });
        assert.equal(await check({}), true, "refuses the signature");
        assert.equal(await check({ message: flip(message, 0) }), false, "accepts another message");
        for (const index of [0, signature.length - 1]) {
          const altered = flip(signature, index);
          assert.equal(await check({ signature: altered }), false, `accepts byte ${index} altered`);
        }
        for (const length of [0, signature.length - 1]) {
          const short = signature.slice(0, length);
          assert.equal(await check({ signature: short }), false, `accepts ${length} bytes of it`);
        }
      },
    },
  ];
}

/** Every scheme with its key, in the order of the harness. */
function signingKeys(keys: CheckContext["keys"]): [SignatureAlgorithm, string][] {
  return Object.entries(keys.signing ?? {}) as [SignatureAlgorithm, string][];
}

async function publicKeyOf(provider: CheckContext["provider"], keyId: string): Promise<KeyObject> {
  const { publicKey } = await provider.getPublicKey({ keyId });
  return createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
}

const family = (algorithm: SignatureAlgorithm): string =>
  algorithm.startsWith("rsa") ? "rsa" : algorithm;

function accepts(
  algorithm: SignatureAlgorithm,
  key: KeyObject,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const hash = SIGNATURE_ALGORITHMS[algorithm] ?? null;
  if (!algorithm.startsWith("rsa-pss")) {
    return verify(hash, message, { key, dsaEncoding: "ieee-p1363" }, signature);
  }
  // RFC 7518 §3.5: the salt is as long as the hash.
  const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return verify(hash, message, { key, padding, saltLength }, signature);
}

function keyAlgorithm(key: KeyObject): KeyAlgorithm | undefined {
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "rsa") return `rsa-${modulusLength}` as KeyAlgorithm;
  if (key.asymmetricKeyType === "ed25519") return "ed25519";
  const curves: Record<string, KeyAlgorithm> = {
    prime256v1: "ecdsa-p256",
    secp384r1: "ecdsa-p384",
    secp256k1: "secp256k1",
  };
  return curves[namedCurve ?? ""];
}
