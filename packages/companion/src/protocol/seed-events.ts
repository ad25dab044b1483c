import { createHash } from "node:crypto";
import type { Wire } from "./frame.ts";
import { fault } from "./json.ts";
import type { MethodName } from "./methods.ts";

/** How a method is said with the event names of the old protocol; values are base64 there as well. */
export interface SeedEvent {
  readonly method: MethodName;
  readonly request: string;
  readonly response: string;
  /** What the id of a request is called in its payload, and in its response. */
  readonly requestId: "id" | "requestId";
  readonly responseId: "id" | "requestId";
  /** `undefined` when the old protocol has no word for what is asked. */
  readonly toPayload: (params: Wire) => Wire | undefined;
  readonly toParams: (payload: Wire) => Wire;
  readonly toResponse: (result: Wire) => Wire;
  readonly toResult: (response: Wire, params: Wire) => Wire;
}

/** The old protocol tells no version of a key. */
const KEY_VERSION = "1";
/** And signs with the P-256 keys of a Secure Enclave. */
const ALGORITHM = "ecdsa-p256-sha256";
const WALLET = "wallet";
const APPROVAL_MS = 120_000;

const isPlain = ({ aad }: Wire): boolean => aad === undefined || aad === "";

const IDS = { requestId: "id", responseId: "id" } as const;
const REQUEST_IDS = { requestId: "requestId", responseId: "requestId" } as const;

const walletSign = (request: string, response: string, from: string, to: string): SeedEvent => ({
  method: "wallet.sign",
  request,
  response,
  ...REQUEST_IDS,
  toPayload: (params) => (params[from] === undefined ? undefined : { [to]: params[from] }),
  toParams: (payload) => ({ [from]: payload[to] }),
  toResponse: ({ signature }) => ({ signature }),
  toResult: ({ signature }, { keyId = WALLET }) => ({ keyId, keyVersion: KEY_VERSION, signature }),
});

export const SEED_EVENTS: readonly SeedEvent[] = [
  {
    method: "sign",
    request: "sign.request",
    response: "sign.response",
    ...IDS,
    toPayload: ({ keyId, message, algorithm = ALGORITHM }) =>
      message === undefined || algorithm !== ALGORITHM ? undefined : { keyId, payload: message },
    toParams: ({ keyId, payload }) => ({ keyId, message: payload, algorithm: ALGORITHM }),
    toResponse: ({ signature }) => ({ signature }),
    toResult: ({ signature }, { keyId }) => ({
      keyId,
      keyVersion: KEY_VERSION,
      signature,
      algorithm: ALGORITHM,
    }),
  },
  {
    method: "encrypt",
    request: "encrypt.request",
    response: "encrypt.response",
    ...IDS,
    toPayload: (params) =>
      isPlain(params) ? { keyId: params["keyId"], plaintext: params["plaintext"] } : undefined,
    toParams: ({ keyId, plaintext }) => ({ keyId, plaintext }),
    toResponse: ({ ciphertext }) => ({ ciphertext }),
    toResult: ({ ciphertext }, { keyId }) => ({ keyId, keyVersion: KEY_VERSION, ciphertext }),
  },
  {
    method: "decrypt",
    request: "decrypt.request",
    response: "decrypt.response",
    ...IDS,
    toPayload: (params) =>
      isPlain(params) ? { keyId: params["keyId"], ciphertext: params["ciphertext"] } : undefined,
    toParams: ({ keyId, ciphertext }) => ({ keyId, ciphertext }),
    toResponse: ({ plaintext }) => ({ plaintext }),
    toResult: ({ plaintext }) => ({ plaintext }),
  },
  {
    method: "approval.request",
    request: "approval.request",
    response: "approval.response",
    requestId: "id",
    responseId: "requestId",
    toPayload: ({ summary }) => ({ message: (summary as readonly string[]).join("\n") }),
    // It commits to nothing but what is shown.
    toParams: ({ message }) => {
      if (typeof message !== "string") throw fault("a message is no text");
      return {
        commitment: createHash("sha256").update(message).digest("base64"),
        summary: message.split("\n"),
        dangerous: true,
        expiresAt: Date.now() + APPROVAL_MS,
      };
    },
    toResponse: ({ approved }) => ({ approved, alwaysAllow: false }),
    // Not signed there: whoever needs the signature refuses an empty one.
    toResult: ({ approved }) => ({ approved, signature: "", decidedAt: Date.now() }),
  },
  {
    method: "wallet.address",
    request: "wallet.address.request",
    response: "wallet.address.response",
    ...REQUEST_IDS,
    toPayload: () => ({}),
    toParams: () => ({}),
    toResponse: ({ address }) => ({ address }),
    toResult: ({ address }, { keyId = WALLET }) => ({ keyId, address }),
  },
  walletSign("wallet.sign_tx.request", "wallet.sign_tx.response", "transaction", "rawTx"),
  walletSign("wallet.sign_msg.request", "wallet.sign_msg.response", "message", "message"),
];
