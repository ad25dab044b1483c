import type { CryptoProvider } from "@lango/crypto-core";
import type { KeyInfo } from "./key-types.ts";

/** A key that exists at a provider, and the provider to reach it with. */
export interface ProviderKey {
  /** E.g. `aws-kms:alias/lango`; the vault keeps the provider's canonical name of the key. */
  readonly uri: string;
  /** The provider of that scheme. The vault does not close it. */
  readonly provider: CryptoProvider;
}

/** How far a change of many data keys is. */
export interface DataKeyProgress {
  readonly done: number;
  readonly total: number;
}

export interface RewrapOptions {
  /** Also data keys that an older version of their provider's key wraps. Default is false: degraded ones alone. */
  readonly all?: boolean | undefined;
  readonly onProgress?: ((progress: DataKeyProgress) => void) | undefined;
  /** Ends it between two data keys, or in the middle of a call: `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
}
export interface RewrapResult {
  /** Data keys that their provider wraps again. */
  readonly rewrapped: number;
}

export interface MigrateOptions {
  /** URI of an encryption key of a configured provider, or `local:NAME` with the name of the key itself. */
  readonly to: string;
  /** Name or URI of the key of the registry. Default: `default`. */
  readonly key?: string | undefined;
  readonly onProgress?: ((progress: DataKeyProgress) => void) | undefined;
  /** Ends it before anything was changed: `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
}
export interface MigrateResult {
  /** The key as it is now. */
  readonly key: KeyInfo;
  /** URI of the key before. */
  readonly from: string;
  /** Data keys that were wrapped anew; 0 when the key was there already. */
  readonly dataKeys: number;
  /** What the old key can still open, a sentence each: a migration takes nothing back from whoever has a copy. */
  readonly notRevoked: readonly string[];
}

/** What wraps the data keys. Values are never touched: the cost is that of the data keys, at any number of secrets. */
export interface Providers {
  /**
   * Puts a key of the registry under another key of a provider, or back under the vault key. The new key is tried first; then
   * one transaction changes the key and the wraps of all its data keys: whenever the process dies, all is as before or all done.
   * Other processes go on reading and writing.
   *
   * Between two keys of a provider that re-wraps with AAD (`rewrapKey`), the data keys go over inside it: none is unwrapped. Otherwise each
   * is unwrapped, wrapped and, as a check, unwrapped again.
   *
   * @throws {@link CryptoError} `ERR_KEY_NOT_FOUND`, also for a provider that is not configured; `ERR_KEY_USAGE` and
   *   `ERR_KEY_DISABLED` for a key that may not seal; `ERR_UNSUPPORTED` for a provider that cannot wrap; `ERR_CONFLICT` when
   *   the target is registered under another name, or another lango holds the lock; whatever the providers throw.
   */
  migrate(options: MigrateOptions): Promise<MigrateResult>;
  /**
   * Has the providers wrap what was sealed by the fallback, each data key in a transaction of its own. The vault also does this
   * by itself, once, when a provider answers again. With `all`, older versions go over as in `migrate`.
   *
   * @throws {@link CryptoError} What the first provider that failed throws, after the keys of the others were wrapped.
   */
  rewrap(options?: RewrapOptions): Promise<RewrapResult>;
}

/** Data keys with the same wrapper. */
export interface DataKeyGroup {
  /** URI of the key that wraps them; `vault:wrap` is the vault key. */
  readonly uri: string;
  /** Without retired ones, which open nothing any more. */
  readonly count: number;
  /** How many of them were sealed by the fallback and wait to be wrapped by their provider. */
  readonly degraded: number;
}
