import { decryptionFailed } from "@lango/crypto-core";
import { flip } from "../../src/assertions.ts";
import { type Fault, is, orElse, pooled } from "./fault.ts";

export const wrapFaults: readonly Fault[] = [
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
        if (request.aad && request.keyId === "a") throw decryptionFailed();
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
    provider: ({ unwrapKey }) => ({
      unwrapKey: (request) =>
        orElse(unwrapKey(request), () => unwrapKey({ ...request, aad: undefined })),
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
];
