import { CryptoError } from "@lango/crypto-core";
import { pattern } from "../../src/assertions.ts";
import { type Fault, orElse, refuse } from "./fault.ts";

export const lifecycleFaults: readonly Fault[] = [
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
