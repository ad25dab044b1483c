import { type SignatureAlgorithm, signatureToDer } from "@lango/crypto-core";
import { SIGNATURE_ALGORITHMS } from "../../src/needs.ts";
import { type Fault, is, orElse, pooled } from "./fault.ts";

export const signFaults: readonly Fault[] = [
  ...(Object.keys(SIGNATURE_ALGORITHMS) as SignatureAlgorithm[]).flatMap(faultsOf),
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
];

function faultsOf(algorithm: SignatureAlgorithm): Fault[] {
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
