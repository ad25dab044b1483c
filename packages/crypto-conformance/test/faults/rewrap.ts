import { toHex } from "@lango/crypto-core";
import { flip } from "../../src/assertions.ts";
import { type Fault, orElse, pooled, refuse } from "./fault.ts";

export const rewrapFaults: readonly Fault[] = [
  {
    check: "rewrapKey: the key comes back under another key, and under the same one",
    provider: ({ rewrapKey, wrapKey }) => ({
      rewrapKey: async (request) => {
        const result = await rewrapKey(request);
        if (request.keyId !== request.toKeyId) return result;
        return wrapKey({ ...request, key: new Uint8Array(32) });
      },
    }),
  },
  {
    check: "rewrapKey: what it made is ERR_DECRYPTION_FAILED under the old key",
    provider: ({ rewrapKey, unwrapKey }) => {
      const moved = new Map<string, string>();
      return {
        rewrapKey: async (request) => {
          const result = await rewrapKey(request);
          moved.set(toHex(result.wrappedKey), result.keyId);
          return result;
        },
        unwrapKey: ({ keyId, ...request }) =>
          unwrapKey({ ...request, keyId: moved.get(toHex(request.wrappedKey)) ?? keyId }),
      };
    },
  },
  {
    check: "rewrapKey: the AAD stays the same",
    provider: ({ rewrapKey, unwrapKey, wrapKey }) => {
      const unbound = new Set<string>();
      return {
        rewrapKey: async (request) => {
          const { keyId } = await rewrapKey(request);
          const result = await wrapKey({ keyId, key: await unwrapKey(request) });
          unbound.add(toHex(result.wrappedKey));
          return result;
        },
        unwrapKey: ({ aad, ...request }) =>
          unwrapKey(unbound.has(toHex(request.wrappedKey)) ? request : { ...request, aad }),
      };
    },
  },
  {
    check: "rewrapKey: a wrong, missing or added AAD is ERR_DECRYPTION_FAILED",
    provider: ({ rewrapKey }) => ({
      rewrapKey: (request) =>
        orElse(rewrapKey(request), () => rewrapKey({ ...request, aad: undefined })),
    }),
  },
  {
    check: "rewrapKey: altered bytes and a key wrapped under another key are ERR_DECRYPTION_FAILED",
    provider: ({ rewrapKey }) => ({
      rewrapKey: (request) =>
        orElse(rewrapKey(request), () =>
          rewrapKey({ ...request, wrappedKey: flip(request.wrappedKey, 0) }),
        ),
    }),
  },
  {
    check: "rewrapKey: the result names the target key and its current version",
    provider: ({ rewrapKey }) => ({
      rewrapKey: async (request) => ({ ...(await rewrapKey(request)), keyId: request.keyId }),
    }),
  },
  {
    check: "rewrapKey: a key that does not exist, old or new, is ERR_KEY_NOT_FOUND",
    provider: ({ rewrapKey }) => ({
      rewrapKey: async (request) => {
        await refuse(request.toKeyId === "missing", "ERR_DECRYPTION_FAILED");
        return rewrapKey(request);
      },
    }),
  },
  {
    check: "rewrapKey: the result has memory of its own, and the inputs are not changed",
    provider: ({ rewrapKey }) => ({
      rewrapKey: async (request) => {
        const result = await rewrapKey(request);
        return { ...result, wrappedKey: pooled(result.wrappedKey) };
      },
    }),
  },
];
