import type { Bytes, CryptoError } from "@lango/crypto-core";
import type { Audience } from "./types.ts";

/** Who calls; every operation on secrets takes it. */
export interface AudienceOption {
  /** Default is `owner`. An `agent` that names `wallet/…` or `system/…` gets `ERR_DENIED`, and lists leave them out. */
  readonly audience?: Audience | undefined;
}
export interface SetSecretOptions extends AudienceOption {
  /** Name or URI of the encryption key. Default: the key that the secret has, or `default`. */
  readonly key?: string | undefined;
  /** Refuses a name that exists, with `ERR_CONFLICT`. */
  readonly createOnly?: boolean | undefined;
  /** Refuses with `ERR_CONFLICT` unless this is the current version; 0 means that there is none. */
  readonly ifVersion?: number | undefined;
}
export interface GetSecretOptions extends AudienceOption {
  /** Default: the current version. */
  readonly version?: number | undefined;
}
export interface SetSecretResult {
  readonly name: string;
  /** Starts at 1 and never restarts, also after a deletion. */
  readonly version: number;
  /** Whether the name did not exist before, or was deleted. */
  readonly created: boolean;
  /** Set when the fallback sealed it; see {@link OpenVaultOptions.fallbackToLocal}. */
  readonly degraded?: true;
}
export interface SecretValue {
  readonly name: string;
  readonly version: number;
  /** Belongs to the caller, who zeroes it. */
  readonly value: Bytes;
}
/** What {@link Secrets.loadAll} gives. */
export interface LoadedSecrets {
  /** How many there were when the audit row was written. */
  readonly count: number;
  /**
   * By name. The vault must stay open while they are read. A value belongs to the caller, who zeroes it. Throws when a
   * provider cannot be reached.
   */
  readonly values: AsyncGenerator<LoadedSecret, void, undefined>;
}
/** One secret, or why it does not open; the others do all the same. */
export type LoadedSecret =
  | { readonly name: string; readonly value: Bytes }
  | { readonly name: string; readonly value?: undefined; readonly error: CryptoError };
/** A secret without its value. Times are milliseconds since the epoch. */
export interface SecretInfo {
  readonly name: string;
  /** URI of its encryption key, e.g. `local:default`. */
  readonly key: string;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** How often its value was read. */
  readonly uses: number;
  readonly lastUsedAt?: number | undefined;
  /** Where its plain form may go without asking, as `vault.approvals.destinations` has it. */
  readonly destinations: readonly string[];
  /** Programs that may have its plain form without asking. */
  readonly commands: readonly string[];
  /** Whether agents use it by handles only. */
  readonly requiresHandle: boolean;
}
export interface SecretVersion {
  readonly version: number;
  readonly createdAt: number;
  /** Bytes of the value. */
  readonly size: number;
  readonly current: boolean;
}

/**
 * Named values. A name is 1 to 256 characters of `[A-Za-z0-9._/-]`, without `..` and without `/` at either end; a value
 * is 0 to 1,048,576 bytes. A bad name or size is `ERR_INVALID_ARGUMENT`, a name that is not there `ERR_NOT_FOUND`.
 */
export interface Secrets {
  /**
   * Stores a value as a new version; the 10 newest versions are kept.
   *
   * @param value - Not changed and not kept; the caller zeroes it.
   */
  set(name: string, value: Uint8Array, options?: SetSecretOptions): Promise<SetSecretResult>;
  /** Reads a value, after the read is committed to the audit log. */
  get(name: string, options?: GetSecretOptions): Promise<SecretValue>;
  /** All secrets, by name; nothing is decrypted. */
  list(options?: AudienceOption): Promise<SecretInfo[]>;
  /**
   * Opens every secret, one after the other, for a scanner that masks them in an output. One row of the audit log says how
   * many there are, and is committed before the first is opened. Uses are not counted.
   */
  loadAll(): Promise<LoadedSecrets>;
  /** The kept versions, newest first. */
  history(name: string, options?: AudienceOption): Promise<SecretVersion[]>;
  /** Makes the value of a kept version current again, as a new version. */
  rollback(name: string, version: number, options?: AudienceOption): Promise<SetSecretResult>;
  /** Removes every version and keeps a tombstone, so that version numbers do not start again. */
  delete(name: string, options?: AudienceOption): Promise<void>;
}
