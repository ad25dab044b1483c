import { CryptoError, concat, decryptionFailed } from "@lango/crypto-core";
import { flip } from "../../src/assertions.ts";
import { type Fault, is, orElse, pooled } from "./fault.ts";

export const encryptFaults: readonly Fault[] = [
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
];
