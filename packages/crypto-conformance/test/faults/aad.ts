import { decryptionFailed } from "@lango/crypto-core";
import { type Fault, is, orElse } from "./fault.ts";

export const aadFaults: readonly Fault[] = [
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
        encrypt({ ...request, ...(is(request.aad, 0) && { aad: new Uint8Array(1) }) }),
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
];
