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

/** Which device may use which keys, and for what nobody is asked. */
export interface SignerPolicy {
  /**
   * Where no rule fits, a person is asked for `sign`, `decrypt`, `unwrapKey`, `mac`, `wallet.sign` and `approval.request`,
   * and for nothing else.
   */
  readonly rules?: readonly PolicyRule[] | undefined;
  /** By the id of a device: the only keys that exist for it. A device without an entry sees every key that is not reserved. */
  readonly keys?: Readonly<Record<string, readonly string[]>> | undefined;
  /** Keys that exist for no device, e.g. those that a vault seals its own data with. */
  readonly reserved?: readonly string[] | undefined;
  /**
   * The secp256k1 keys of `wallet.address` and `wallet.sign`, the default one first. No other method uses them: whoever can
   * have a digest signed can have any transaction signed, without anybody seeing which.
   */
  readonly wallets?: readonly string[] | undefined;
}
