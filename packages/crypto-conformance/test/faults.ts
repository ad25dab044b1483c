import {
  bytesEqual,
  type CryptoClient,
  CryptoError,
  type CryptoProvider,
  concat,
  decryptionFailed,
  type MacAlgorithm,
  type SignatureAlgorithm,
  signatureToDer,
} from "@lango/crypto-core";
import { flip, pattern } from "../src/assertions.ts";
import { MAC_ALGORITHMS, SIGNATURE_ALGORITHMS } from "../src/needs.ts";

type Provider = Required<CryptoProvider>;

/** One planted fault: what it replaces in the provider, or in the client, and the one check that must notice. */
export interface Fault {
  readonly check: string;
  readonly provider?: (honest: Provider) => Partial<Provider>;
  /** For what the client promises on behalf of every provider. */
  readonly client?: (honest: CryptoClient, provider: Provider) => Partial<CryptoClient>;
}

/** Runs the second call if the first one rejects. */
const orElse = <T>(first: Promise<T>, second: () => Promise<T>): Promise<T> => first.catch(second);
const bytes = (length: number, fill: number) => new Uint8Array(length).fill(fill);
const is = (actual: Uint8Array | undefined, length: number) => actual?.length === length;
const pooled = (result: Uint8Array) => Buffer.from(result) as unknown as Uint8Array<ArrayBuffer>;

/** Every fault is as narrow as it can be, so that it shows that the one check looks where no other does. */
export const FAULTS: readonly Fault[] = [
  // encrypt and decrypt
  {
    check: "encrypt: 0, 1, 15, 16, 17 and 4096 bytes come back",
    provider: ({ decrypt }) => ({
      decrypt: async (request) => {
        const plaintext = await decrypt(request);
        return is(plaintext, 15) ? plaintext.slice(1) : plaintext;
      },
    }),
  },
  {
    check: "encrypt: the largest plaintext comes back",
    provider: ({ decrypt }) => ({
      decrypt: async (request) => {
        const plaintext = await decrypt(request);
        return is(plaintext, 8192) ? plaintext.slice(1) : plaintext;
      },
    }),
  },
  {
    check: "encrypt: one byte more than the largest plaintext is ERR_INVALID_ARGUMENT",
    client: (client, provider) => ({
      encrypt: (request) => {
        const { plaintext } = request;
        const unchecked = is(plaintext, 8193) && plaintext.every((byte) => byte === 0);
        return (unchecked ? provider : client).encrypt(request);
      },
    }),
  },
  {
    check: "encrypt: equal plaintexts give different ciphertexts",
    provider: ({ encrypt }) => {
      const fixed = new Map<string, Uint8Array>();
      return {
        encrypt: async (request) => {
          const result = await encrypt(request);
          if (!is(request.plaintext, 32)) return result;
          const first = fixed.get(request.keyId) ?? result.ciphertext;
          fixed.set(request.keyId, first);
          return { ...result, ciphertext: Uint8Array.from(first) };
        },
      };
    },
  },
  {
    check: "encrypt: the ciphertext does not show the plaintext",
    provider: ({ encrypt }) => ({
      encrypt: async (request) => {
        const result = await encrypt(request);
        if (!is(request.plaintext, 64)) return result;
        return { ...result, ciphertext: concat(result.ciphertext, request.plaintext) };
      },
    }),
  },
  {
    check: "encrypt: the result names the key and its current version",
    provider: ({ encrypt }) => ({
      encrypt: async (request) => ({
        ...(await encrypt(request)),
        ...(is(request.plaintext, 16) && { keyVersion: "9" }),
      }),
    }),
  },
  {
    check: "encrypt: results are plain Uint8Arrays over memory of their own",
    provider: ({ decrypt }) => ({ decrypt: async (request) => pooled(await decrypt(request)) }),
  },
  {
    check: "encrypt: inputs are not changed",
    provider: ({ encrypt }) => ({
      encrypt: async (request) => {
        const result = await encrypt(request);
        if (is(request.plaintext, 50)) request.plaintext.fill(0);
        return result;
      },
    }),
  },
  {
    check: "decrypt: every altered byte is ERR_DECRYPTION_FAILED",
    provider: ({ decrypt }) => ({
      decrypt: (request) =>
        orElse(decrypt(request), () =>
          decrypt({ ...request, ciphertext: flip(request.ciphertext, 5) }),
        ),
    }),
  },
  {
    check: "decrypt: every truncation, and one byte more, is ERR_DECRYPTION_FAILED",
    provider: ({ decrypt }) => ({
      decrypt: (request) =>
        orElse(decrypt(request), () =>
          decrypt({ ...request, ciphertext: request.ciphertext.slice(0, -1) }),
        ),
    }),
  },
  {
    check: "decrypt: the ciphertext of another key is ERR_DECRYPTION_FAILED",
    provider: ({ decrypt }) => ({
      decrypt: (request) =>
        orElse(decrypt(request), () =>
          request.keyId === "b" ? decrypt({ ...request, keyId: "a" }) : decrypt(request),
        ),
    }),
  },
  {
    check: "decrypt: a wrong key and altered bytes give the same message",
    provider: ({ decrypt }) => ({
      decrypt: (request) =>
        orElse(decrypt(request), async () => {
          await decrypt({ ...request, ...(request.keyId === "a" && { keyId: "b" }) });
          throw new CryptoError("ERR_DECRYPTION_FAILED", "Decryption failed: wrong key");
        }),
    }),
  },
  {
    check: "decrypt: takes the key version that encrypt named",
    provider: ({ decrypt }) => ({
      decrypt: async (request) => {
        if (request.keyId === "a" && request.keyVersion) throw decryptionFailed();
        return decrypt(request);
      },
    }),
  },
  {
    check: "rotateKey: a new version is the current one, and older ciphertexts open",
    provider: ({ decrypt }) => ({
      decrypt: async (request) => {
        if (request.keyId === "rotatable" && request.keyVersion === "1") throw decryptionFailed();
        return decrypt(request);
      },
    }),
  },

  // AAD
  {
    check: "aad: the same AAD opens",
    provider: ({ decrypt }) => ({
      decrypt: async (request) => {
        if (is(request.aad, 24)) throw decryptionFailed();
        return decrypt(request);
      },
    }),
  },
  {
    check: "aad: a wrong AAD is ERR_DECRYPTION_FAILED",
    provider: ({ encrypt, decrypt }) => ({
      encrypt: (request) => encrypt({ ...request, aad: request.aad?.subarray(0, 8) }),
      decrypt: (request) => decrypt({ ...request, aad: request.aad?.subarray(0, 8) }),
    }),
  },
  {
    check: "aad: a missing AAD is ERR_DECRYPTION_FAILED",
    provider: ({ encrypt, decrypt }) => {
      let last: Uint8Array | undefined;
      return {
        encrypt: (request) => {
          last = request.aad;
          return encrypt(request);
        },
        decrypt: (request) =>
          orElse(decrypt(request), () => decrypt({ ...request, aad: request.aad ?? last })),
      };
    },
  },
  {
    check: "aad: an AAD where there was none is ERR_DECRYPTION_FAILED",
    provider: ({ decrypt }) => ({
      decrypt: (request) => orElse(decrypt(request), () => decrypt({ ...request, aad: undefined })),
    }),
  },
  {
    check: "aad: empty and absent are the same",
    provider: ({ encrypt }) => ({
      encrypt: (request) =>
        encrypt({ ...request, ...(is(request.aad, 0) && { aad: bytes(1, 0) }) }),
    }),
  },
  {
    check: "aad: the largest AAD opens",
    provider: ({ decrypt }) => ({
      decrypt: async (request) => {
        if (is(request.aad, 1000)) throw decryptionFailed();
        return decrypt(request);
      },
    }),
  },
  {
    check: "aad: one byte more than the largest AAD is ERR_INVALID_ARGUMENT",
    client: (client, provider) => ({
      encrypt: (request) => (is(request.aad, 1001) ? provider : client).encrypt(request),
    }),
  },
  {
    check: "aad: is not changed",
    provider: ({ decrypt }) => ({
      decrypt: async (request) => {
        const plaintext = await decrypt(request);
        if (is(request.aad, 40)) request.aad?.fill(0);
        return plaintext;
      },
    }),
  },

  // wrapKey and unwrapKey
  {
    check: "wrapKey: keys of 16, 32 and the most bytes come back",
    provider: ({ unwrapKey }) => ({
      unwrapKey: async (request) => {
        const key = await unwrapKey(request);
        return is(key, 200) ? key.slice(1) : key;
      },
    }),
  },
  {
    check: "wrapKey: 15 bytes and one byte too many are ERR_INVALID_ARGUMENT",
    client: (client, provider) => ({
      wrapKey: (request) => (is(request.key, 201) ? provider : client).wrapKey(request),
    }),
  },
  {
    check: "wrapKey: a data key with the AAD of an envelope comes back",
    provider: ({ unwrapKey }) => ({
      unwrapKey: async (request) => {
        if (request.aad) throw decryptionFailed();
        return unwrapKey(request);
      },
    }),
  },
  {
    check: "wrapKey: the result names the key and its current version",
    provider: ({ wrapKey }) => ({
      wrapKey: async (request) => ({ ...(await wrapKey(request)), keyVersion: "9" }),
    }),
  },
  {
    check: "wrapKey: results are plain Uint8Arrays over memory of their own",
    provider: ({ unwrapKey }) => ({
      unwrapKey: async (request) => pooled(await unwrapKey(request)),
    }),
  },
  {
    check: "wrapKey: inputs are not changed",
    provider: ({ wrapKey }) => ({
      wrapKey: async (request) => {
        const result = await wrapKey(request);
        if (is(request.key, 24)) request.key.fill(0);
        return result;
      },
    }),
  },
  {
    check: "unwrapKey: every altered byte is ERR_DECRYPTION_FAILED",
    provider: ({ unwrapKey }) => ({
      unwrapKey: (request) =>
        orElse(unwrapKey(request), () =>
          unwrapKey({ ...request, wrappedKey: flip(request.wrappedKey, 5) }),
        ),
    }),
  },
  {
    check: "unwrapKey: a wrong, missing or added AAD is ERR_DECRYPTION_FAILED",
    provider: ({ wrapKey, unwrapKey }) => ({
      wrapKey: (request) => wrapKey({ ...request, aad: request.aad?.subarray(0, 8) }),
      unwrapKey: (request) => unwrapKey({ ...request, aad: request.aad?.subarray(0, 8) }),
    }),
  },
  {
    check: "unwrapKey: a key wrapped under another key is ERR_DECRYPTION_FAILED",
    provider: ({ unwrapKey }) => ({
      unwrapKey: (request) =>
        orElse(unwrapKey(request), () => unwrapKey({ ...request, keyId: "a" })),
    }),
  },
  {
    check: "unwrapKey: does not open what encrypt made, nor decrypt what wrapKey made",
    provider: ({ unwrapKey, decrypt }) => ({
      unwrapKey: (request) =>
        orElse(unwrapKey(request), () => decrypt({ ...request, ciphertext: request.wrappedKey })),
    }),
  },

  // sign, verify, getPublicKey
  ...(Object.keys(SIGNATURE_ALGORITHMS) as SignatureAlgorithm[]).flatMap(signatureFaults),
  {
    check: "sign: results are plain Uint8Arrays over memory of their own, inputs are not changed",
    provider: ({ sign }) => ({
      sign: async (request) => {
        const result = await sign(request);
        return { ...result, signature: pooled(result.signature) };
      },
    }),
  },
  {
    check: "sign: without an algorithm, takes one that the key allows",
    provider: ({ sign }) => ({
      sign: async (request) => {
        const result = await sign(request);
        const wrong = is(request.message, 24) && request.algorithm === undefined;
        return wrong ? { ...result, signature: result.signature.slice(1) } : result;
      },
    }),
  },
  {
    check: "sign: refuses a scheme that the key does not allow",
    provider: ({ sign }) => ({
      sign: (request) => orElse(sign(request), () => sign({ ...request, algorithm: undefined })),
    }),
  },
  {
    check: "sign: both or neither of message and digest are ERR_INVALID_ARGUMENT",
    client: (client, provider) => ({
      sign: (request) => (request.message && request.digest ? provider : client).sign(request),
    }),
  },
  {
    check: "sign: a digest of another length is ERR_INVALID_ARGUMENT",
    client: (client, provider) => ({
      sign: (request) => (is(request.digest, 47) ? provider : client).sign(request),
    }),
  },
  {
    check: "getPublicKey: a SubjectPublicKeyInfo of the key's own algorithm",
    provider: ({ getPublicKey }) => ({
      getPublicKey: async (request) => ({ ...(await getPublicKey(request)), keyVersion: "9" }),
    }),
  },
  {
    check: "getPublicKey: of a key for encryption is ERR_KEY_USAGE",
    provider: ({ getPublicKey }) => ({
      getPublicKey: (request) =>
        getPublicKey({ ...request, keyId: request.keyId === "a" ? "ed25519" : request.keyId }),
    }),
  },

  // mac and verifyMac
  ...(Object.keys(MAC_ALGORITHMS) as MacAlgorithm[]).flatMap(macFaults),
  {
    check: "mac: results are plain Uint8Arrays over memory of their own, inputs are not changed",
    provider: ({ mac }) => ({
      mac: async (request) => {
        const result = await mac(request);
        return { ...result, mac: pooled(result.mac) };
      },
    }),
  },

  // keys, random, health
  {
    check: "encrypt: a key that does not exist is ERR_KEY_NOT_FOUND",
    provider: ({ encrypt }) => ({
      encrypt: (request) =>
        encrypt({
          ...request,
          ...(request.keyId === "missing" && is(request.plaintext, 16) && { keyId: "a" }),
        }),
    }),
  },
  {
    check: "sign: a key that does not exist is ERR_KEY_NOT_FOUND",
    provider: ({ sign }) => ({
      sign: async (request) => {
        if (is(request.message, 16)) await refuse(request.keyId === "missing", "ERR_INTERNAL");
        return sign(request);
      },
    }),
  },
  {
    check: "describeKey: a key that does not exist is ERR_KEY_NOT_FOUND",
    provider: ({ describeKey }) => ({
      describeKey: (request) =>
        describeKey({ ...request, keyId: request.keyId === "missing" ? "a" : request.keyId }),
    }),
  },
  {
    check: "disabled key: its use is ERR_KEY_DISABLED",
    provider: ({ encrypt }) => ({
      encrypt: (request) =>
        encrypt({ ...request, keyId: request.keyId === "disabled" ? "a" : request.keyId }),
    }),
  },
  {
    check: "encrypt: a key for signing is ERR_KEY_USAGE",
    provider: ({ encrypt }) => ({
      encrypt: (request) =>
        encrypt({ ...request, keyId: request.keyId.startsWith("ecdsa") ? "a" : request.keyId }),
    }),
  },
  {
    check: "sign: a key for encryption is ERR_KEY_USAGE",
    provider: ({ sign }) => ({
      sign: (request) =>
        sign({ ...request, keyId: request.keyId === "a" ? "ed25519" : request.keyId }),
    }),
  },
  {
    check: "mac: a key for encryption is ERR_KEY_USAGE",
    provider: ({ mac }) => ({
      mac: (request) =>
        mac({ ...request, keyId: request.keyId === "a" ? "hmac-sha256" : request.keyId }),
    }),
  },
  {
    check: "describeKey: says what each key is for, and that it is enabled",
    provider: ({ describeKey, listKeys }) => {
      const wrong = <K extends { keyId: string }>(key: K): K =>
        key.keyId === "b" ? { ...key, state: "pending" } : key;
      return {
        describeKey: async (request) => wrong(await describeKey(request)),
        async *listKeys(request) {
          for await (const key of listKeys(request)) yield wrong(key);
        },
      };
    },
  },
  {
    check: "listKeys: gives every key as describeKey does, once",
    provider: ({ listKeys }) => ({
      async *listKeys(request) {
        for await (const key of listKeys(request)) if (key.keyId !== "b") yield key;
      },
    }),
  },
  {
    check: "createKey: makes a key that works; a name in use is ERR_CONFLICT",
    provider: ({ createKey, describeKey }) => ({
      createKey: (request) =>
        orElse(createKey(request), async () => {
          const { keyId = "missing", signal } = request;
          return describeKey({ keyId, signal });
        }),
    }),
  },
  {
    check: "random: as many bytes as asked, other ones each time",
    provider: ({ random }) => ({
      random: async (request) => (await random(request)).fill(7),
    }),
  },
  {
    check: "random: 0 and 1025 bytes are ERR_INVALID_ARGUMENT",
    client: (client, provider) => ({
      random: (request) => (request.bytes === 1025 ? provider : client).random(request),
    }),
  },
  {
    check: "health: healthy, checked now",
    provider: ({ health }) => ({
      health: async (request) => ({ ...(await health(request)), checkedAt: 0 }),
    }),
  },
  {
    check: "health: a key that does not exist is a reason, not a rejection",
    provider: ({ health }) => ({
      health: async (request) => {
        await refuse(request.keyId === "missing", "ERR_KEY_NOT_FOUND");
        return health(request);
      },
    }),
  },

  // lifecycle
  {
    check: "capabilities: name, operations and limits fit together",
    provider: () => ({ name: "Reference Provider" }),
  },
  {
    check: "abort: a call with an aborted signal rejects with the signal's reason",
    provider: ({ describeKey }) => ({
      describeKey: (request) =>
        describeKey(request.signal?.aborted ? { keyId: request.keyId } : request),
    }),
  },
  {
    check: "abort: an abort during a call rejects it with the signal's reason",
    provider: ({ describeKey }) => ({
      describeKey: (request) =>
        describeKey(request.signal?.aborted ? request : { keyId: request.keyId }),
    }),
  },
  {
    check: "abort: leaves the provider usable and no rejection unhandled",
    provider: ({ random }) => {
      let broken = false;
      return {
        random: async (request) => {
          request.signal?.addEventListener("abort", () => {
            broken = request.signal?.reason.message === "aborted";
          });
          const refused = refuse(broken, "ERR_UNAVAILABLE");
          broken = false;
          await refused;
          return random(request);
        },
      };
    },
  },
  {
    check: "encrypt: calls in parallel do not mix up",
    provider: ({ encrypt }) => {
      let shared: Uint8Array;
      return {
        encrypt: async (request) => {
          shared = request.plaintext;
          await null;
          return encrypt({ ...request, plaintext: shared });
        },
      };
    },
  },
  {
    check: "sign: calls in parallel do not mix up",
    provider: ({ sign }) => {
      let shared: Uint8Array | undefined;
      return {
        sign: async (request) => {
          if (request.message === undefined) return sign(request);
          shared = request.message;
          await null;
          return sign({ ...request, message: shared });
        },
      };
    },
  },
  {
    check: "errors: hold no plaintext, AAD or key, in any encoding",
    provider: ({ wrapKey }) => ({
      wrapKey: (request) =>
        wrapKey(request).catch((error: CryptoError) => {
          const text = Buffer.from(request.key).toString("base64");
          throw error.code ? new CryptoError(error.code, `cannot wrap ${text}`) : error;
        }),
    }),
  },
  {
    check: "close: may be called twice, also at once",
    provider: ({ close }) => {
      let closing = false;
      return {
        close: async () => {
          const refused = refuse(closing, "ERR_INTERNAL");
          closing = true;
          await refused;
          await close();
          closing = false;
        },
      };
    },
  },
  {
    check: "close: every later call is ERR_CLOSED",
    provider: ({ random }) => ({
      random: (request) =>
        orElse(random(request), async () => {
          request.signal?.throwIfAborted();
          return pattern(request.bytes) as Uint8Array<ArrayBuffer>;
        }),
    }),
  },
];

function signatureFaults(algorithm: SignatureAlgorithm): Fault[] {
  const encode = algorithm.startsWith("ecdsa")
    ? signatureToDer
    : (signature: Uint8Array) => signature.slice(1);
  return [
    {
      check: `sign ${algorithm}: node:crypto and openssl accept the signature, in its encoding`,
      provider: ({ sign }) => ({
        sign: async (request) => {
          const result = await sign(request);
          const wrong = is(request.message, 5000) && request.algorithm === algorithm;
          return wrong ? { ...result, signature: encode(result.signature) } : result;
        },
      }),
    },
    {
      check: `sign ${algorithm}: a message and its digest agree`,
      provider: ({ sign }) => ({
        sign: ({ digest, message, ...request }) =>
          digest === undefined
            ? sign({ ...request, message })
            : request.algorithm === algorithm
              ? sign({ ...request, message: digest })
              : sign({ ...request, digest }),
      }),
    },
    {
      check: `verify ${algorithm}: true for its signature, false for any other`,
      provider: ({ verify }) => ({
        verify: async (request) =>
          (await verify(request)) ||
          (request.algorithm === algorithm && request.signature.length > 0),
      }),
    },
  ];
}

function macFaults(algorithm: MacAlgorithm): Fault[] {
  // The last byte of the message does not count.
  const cut = <R extends { keyId: string; message: Uint8Array }>(request: R): R =>
    request.keyId === algorithm && is(request.message, 100)
      ? { ...request, message: request.message.slice(0, -1) }
      : request;
  return [
    {
      check: `mac ${algorithm}: ${MAC_ALGORITHMS[algorithm]} bytes, the same for the same message only`,
      provider: ({ mac, verifyMac }) => ({
        mac: (request) => mac(cut(request)),
        verifyMac: (request) => verifyMac(cut(request)),
      }),
    },
    {
      check: `verifyMac ${algorithm}: true for its MAC, false for any other`,
      provider: ({ mac, verifyMac }) => ({
        verifyMac: async (request) => {
          if (request.keyId !== algorithm || !is(request.mac, 16)) return verifyMac(request);
          return bytesEqual((await mac(request)).mac.slice(0, 16), request.mac);
        },
      }),
    },
  ];
}

async function refuse(
  condition: boolean,
  code: "ERR_INTERNAL" | "ERR_UNAVAILABLE" | "ERR_KEY_NOT_FOUND",
) {
  if (condition) throw new CryptoError(code, "planted");
}
