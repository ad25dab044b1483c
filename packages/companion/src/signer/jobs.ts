import type { KeyObject } from "node:crypto";
import { type CryptoClient, CryptoError, type Signable, toHex } from "@lango/crypto-core";
import type { IncomingRequest } from "../channel/types.ts";
import type { MethodName, Result } from "../protocol/methods.ts";
import { signApproval } from "./approval-signature.ts";
import { listKeys, seenKeys } from "./keys.ts";
import type { CheckedPolicy } from "./policy.ts";
import { describeBytes, escapeText, sizeAndHash } from "./text.ts";
import { decodeTransaction, describeTransaction } from "./transaction.ts";
import { messageHash, transactionHash, walletAddress, walletSign } from "./wallet.ts";

/** What a request comes to, once it was looked at. */
export interface Job<M extends MethodName = MethodName> {
  /** The key that it uses or asks about. */
  readonly keyId?: string | undefined;
  /** What a person has to know of it. */
  readonly lines?: (() => string[]) | undefined;
  readonly dangerous?: boolean | undefined;
  /** Milliseconds since the epoch. */
  readonly expiresAt?: number | undefined;
  /** What of the params is zeroed in the end, whatever happens. */
  readonly secret?: Uint8Array | undefined;
  readonly act: () => Promise<Result<M>>;
  /** What a no is answered with. Default: `ERR_DENIED`. */
  readonly refuse?: (() => Promise<Result<M>>) | undefined;
}

export interface JobContext {
  readonly keys: CryptoClient;
  readonly name: string;
  readonly policy: CheckedPolicy;
  readonly identity: { readonly privateKey: KeyObject } | undefined;
  readonly clock: () => number;
}

type Jobs = {
  readonly [M in MethodName]: (context: JobContext, request: IncomingRequest<M>) => Job<M>;
};

/** @throws {@link CryptoError} For params that no provider could take. */
export const jobFor = (context: JobContext, request: IncomingRequest): Job =>
  (JOBS[request.method] as (context: JobContext, request: IncomingRequest) => Job)(
    context,
    request,
  );

const JOBS: Jobs = {
  encrypt: ({ keys }, { params, signal }) => ({
    keyId: params.keyId,
    lines: () => [`Value: ${params.plaintext.length} bytes`],
    secret: params.plaintext,
    act: async () => {
      const { keyId, keyVersion, ciphertext } = await keys.encrypt({ ...params, signal });
      return { keyId, keyVersion, ciphertext };
    },
  }),
  decrypt: ({ keys }, { params, signal }) => ({
    keyId: params.keyId,
    lines: () => [sizeAndHash("Ciphertext", params.ciphertext), ...belongsTo(params.aad)],
    act: async () => ({ plaintext: await keys.decrypt({ ...params, signal }) }),
  }),
  wrapKey: ({ keys }, { params, signal }) => ({
    keyId: params.keyId,
    lines: () => [`Key to wrap: ${params.key.length} bytes`],
    secret: params.key,
    act: async () => {
      const { keyId, keyVersion, wrappedKey } = await keys.wrapKey({ ...params, signal });
      return { keyId, keyVersion, wrappedKey };
    },
  }),
  unwrapKey: ({ keys }, { params, signal }) => ({
    keyId: params.keyId,
    lines: () => [sizeAndHash("Wrapped key", params.wrappedKey), ...belongsTo(params.aad)],
    act: async () => ({ key: await keys.unwrapKey({ ...params, signal }) }),
  }),
  sign: ({ keys, policy }, { params }) => {
    const { keyId, message, digest, algorithm } = params;
    if (policy.isWallet(keyId)) throw onlyWallet(keyId);
    const input = exactlyOne(message, digest, "message", "digest");
    return {
      keyId,
      lines: () =>
        input.first
          ? describeBytes("Message", input.bytes)
          : [`Digest: ${toHex(input.bytes)}; what it is of cannot be seen here`],
      act: async () => {
        const signable: Signable = input.first ? { message: input.bytes } : { digest: input.bytes };
        const signed = await keys.sign({ keyId, ...signable, algorithm });
        return {
          keyId: signed.keyId,
          keyVersion: signed.keyVersion,
          signature: signed.signature,
          algorithm: signed.algorithm,
        };
      },
    };
  },
  mac: ({ keys }, { params: { keyId, keyVersion, message } }) => ({
    keyId,
    lines: () => describeBytes("Message", message),
    act: async () => {
      const made = await keys.mac({ keyId, message });
      if (keyVersion !== undefined && keyVersion !== made.keyVersion) {
        throw new CryptoError("ERR_UNSUPPORTED", "Only the current version of a key makes MACs", {
          context: { keyId },
        });
      }
      return {
        keyId: made.keyId,
        keyVersion: made.keyVersion,
        mac: made.mac,
        algorithm: made.algorithm,
      };
    },
  }),
  getPublicKey: ({ keys }, { params, signal }) => ({
    keyId: params.keyId,
    act: async () => {
      const found = await keys.getPublicKey({ ...params, signal });
      const { keyId, keyVersion, publicKey, algorithm } = found;
      return { keyId, keyVersion, publicKey, algorithm };
    },
  }),
  listKeys: ({ keys, policy }, request) => ({
    keyId: request.params.keyId,
    act: () => listKeys(keys, policy, request),
  }),
  "approval.request": ({ identity, clock }, { id, binding, params }) => {
    if (identity === undefined) {
      throw new CryptoError("ERR_UNSUPPORTED", "This companion has no key to sign approvals with");
    }
    const answer = async (approved: boolean) => {
      const decidedAt = clock();
      const statement = { ...params, id, binding, approved, decidedAt };
      return { approved, decidedAt, signature: signApproval(identity.privateKey, statement) };
    };
    return {
      lines: () => params.summary.map(escapeText),
      dangerous: params.dangerous,
      expiresAt: params.expiresAt,
      act: () => answer(true),
      refuse: () => answer(false),
    };
  },
  "wallet.address": ({ keys, policy }, { params, signal }) => {
    const keyId = walletKey(policy, params.keyId);
    return { keyId, act: () => walletAddress(keys, keyId, signal) };
  },
  "wallet.sign": ({ keys, policy }, { params: { keyId: named, transaction, message } }) => {
    const keyId = walletKey(policy, named);
    const input = exactlyOne(transaction, message, "transaction", "message");
    const decoded = input.first ? decodeTransaction(input.bytes) : undefined;
    const digest = input.first ? transactionHash(input.bytes) : messageHash(input.bytes);
    return {
      keyId,
      lines: () => [
        ...(decoded ? describeTransaction(decoded) : describeBytes("Message", input.bytes)),
        `Signs the hash: 0x${toHex(digest)}`,
      ],
      dangerous: decoded?.type === 4,
      act: () => walletSign(keys, keyId, digest),
    };
  },
  status: ({ keys, name, policy }, { peer, signal }) => ({
    act: async () => ({
      name,
      asks: policy.asks(peer, "sign") || policy.asks(peer, "decrypt"),
      keys: keys.capabilities.operations.includes("listKeys")
        ? (await seenKeys(keys, policy, peer, signal)).length
        : 0,
    }),
  }),
  rollover: () => {
    throw new CryptoError("ERR_UNSUPPORTED", "Certificates are not renewed here");
  },
};

/** What a value is bound to, when it was said. */
const belongsTo = (aad: Uint8Array | undefined): string[] =>
  aad === undefined || aad.length === 0 ? [] : describeBytes("Belongs to", aad);

interface One {
  readonly bytes: Uint8Array;
  /** Whether it is the first of the two. */
  readonly first: boolean;
}

const exactlyOne = (
  first: Uint8Array | undefined,
  second: Uint8Array | undefined,
  ...names: [string, string]
): One => {
  const bytes = first ?? second;
  if (bytes !== undefined && (first === undefined) !== (second === undefined)) {
    return { bytes, first: first !== undefined };
  }
  throw new CryptoError("ERR_INVALID_ARGUMENT", `Exactly one of ${names.join(" and ")} is needed`);
};

const onlyWallet = (keyId: string): CryptoError =>
  new CryptoError("ERR_KEY_USAGE", `Key ${keyId} is a wallet's: it signs transactions only`, {
    context: { keyId, hint: "Use wallet.sign, which shows what is signed" },
  });

/** @throws {@link CryptoError} `ERR_KEY_NOT_FOUND` for a key that is no wallet's: the owner says which ones are. */
const walletKey = (policy: CheckedPolicy, named: string | undefined): string => {
  const keyId = named ?? policy.defaultWallet;
  if (keyId !== undefined && policy.isWallet(keyId)) return keyId;
  throw new CryptoError("ERR_KEY_NOT_FOUND", "The companion has no such wallet", {
    context: { hint: "Name its key among the wallets of the companion's policy" },
  });
};
