import { CryptoError } from "@lango/crypto-core";
import type { Peer } from "../peers.ts";
import type { MethodName } from "../protocol/methods.ts";

/** Whether a person is asked. The first rule that fits a request decides. */
export interface PolicyRule {
  /** The id of a device. Default: every one. */
  readonly peer?: string | undefined;
  /** The id of a key. Default: every one. */
  readonly key?: string | undefined;
  readonly methods: readonly MethodName[];
  readonly ask: boolean;
}

/**
 * Which device may use which keys, and for what nobody is asked. Keys are named as `listKeys` of the provider names them; a
 * request that names one otherwise is `ERR_KEY_NOT_FOUND`.
 */
export interface SignerPolicy {
  /**
   * Where no rule fits, a person is asked for `sign`, `decrypt`, `unwrapKey`, `mac`, `wallet.sign` and `approval.request`,
   * and for nothing else. No rule lets an approval pass: it says that a person said yes.
   */
  readonly rules?: readonly PolicyRule[] | undefined;
  /** By the id of a device: the only keys that exist for it. A device without an entry sees every key that is not reserved. */
  readonly keys?: Readonly<Record<string, readonly string[]>> | undefined;
  /**
   * Ids of keys that exist for no device, e.g. those that a vault seals its own data with. Those whose name begins with
   * `system/` or `wallet/` are reserved anyway.
   */
  readonly reserved?: readonly string[] | undefined;
  /**
   * Ids of the secp256k1 keys of `wallet.address` and `wallet.sign`, the default one first. No other method signs with them:
   * whoever can have a digest signed can have any transaction signed, without anybody seeing which.
   */
  readonly wallets?: readonly string[] | undefined;
}

export interface CheckedPolicy {
  /** Whether the device may know of the key. */
  sees(peer: Peer, keyId: string): boolean;
  /** Whether a person is asked first. Without a key: whatever key it may be that no rule names. */
  asks(peer: Peer, method: MethodName, keyId?: string): boolean;
  isWallet(keyId: string): boolean;
  /** The key of a wallet method that names none. */
  readonly defaultWallet: string | undefined;
}

export const ASKED: readonly MethodName[] = [
  "sign",
  "decrypt",
  "unwrapKey",
  "mac",
  "wallet.sign",
  "approval.request",
];

/** After the scheme of a key URI, if it is one. */
const RESERVED = /^(?:[a-z][a-z0-9-]*:)?(?:system|wallet)\//;

/** @throws {@link CryptoError} `ERR_CONFIG` for a rule that answers approvals without a person. */
export const checkPolicy = ({
  rules = [],
  keys = {},
  reserved = [],
  wallets = [],
}: SignerPolicy): CheckedPolicy => {
  if (rules.some(({ ask, methods }) => !ask && methods.includes("approval.request"))) {
    throw new CryptoError("ERR_CONFIG", "A policy cannot answer approval.request: a person does");
  }
  const keysOf = new Map(Object.entries(keys).map(([peer, ids]) => [peer, new Set(ids)]));
  const hidden = new Set(reserved);
  const isWallet = (keyId: string): boolean => wallets.includes(keyId);

  return {
    sees: (peer, keyId) => {
      if (hidden.has(keyId) || (RESERVED.test(keyId) && !isWallet(keyId))) return false;
      return keysOf.get(peer.id)?.has(keyId) ?? true;
    },
    asks: (peer, method, keyId) =>
      rules.find(
        (rule) =>
          rule.methods.includes(method) &&
          (rule.peer === undefined || rule.peer === peer.id) &&
          (rule.key === undefined || rule.key === keyId),
      )?.ask ?? ASKED.includes(method),
    isWallet,
    defaultWallet: wallets[0],
  };
};
