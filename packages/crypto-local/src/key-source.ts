import type { KeyObject } from "node:crypto";
import type { KeyState } from "@lango/crypto-core";
import type { LocalKeyAlgorithm } from "./algorithms.ts";

/**
 * Where a local provider finds its keys: process memory ({@link createMemoryKeySource}), or a store that keeps them
 * sealed and opens a version when it is first used. What its methods throw reaches the caller as it is, so it should
 * be a {@link CryptoError}.
 */
export interface KeySource {
  /** The key as it is now, or `undefined` if there is none of that id. Called once per operation. */
  get(keyId: string): KeyRecord | undefined | Promise<KeyRecord | undefined>;
  list(): Iterable<KeyRecord> | AsyncIterable<KeyRecord>;
  /**
   * Adds a key with version 1. Without this method the provider offers no `createKey`.
   *
   * @throws {@link CryptoError} `ERR_CONFLICT` if the id is in use.
   */
  create?(key: NewKey): KeyRecord | Promise<KeyRecord>;
  /**
   * Adds a version, one above the highest, to a key that exists. Without this method the provider offers no `rotateKey`.
   *
   * @param material - As in {@link NewKey}.
   */
  rotate?(keyId: string, material: Uint8Array): KeyRecord | Promise<KeyRecord>;
  /** Forgets the key objects that it holds. Called once, when the provider closes. */
  close?(): void | Promise<void>;
}

/** A key to be stored. */
export interface NewKey {
  readonly id: string;
  readonly algorithm: LocalKeyAlgorithm;
  /** The secret, as {@link importKeyMaterial} takes it; copied or sealed before the call resolves, zeroed after. */
  readonly material: Uint8Array;
}

/** A key and all of its versions. Its algorithm decides its usage. */
export interface KeyRecord {
  readonly id: string;
  readonly algorithm: LocalKeyAlgorithm;
  /** In ascending order, at least one. The last is the current one. */
  readonly versions: readonly KeyVersionRecord[];
}

/** One version of a key. */
export interface KeyVersionRecord {
  /** 1 to 2^32 − 1; ciphertexts name it. */
  readonly version: number;
  readonly state: Exclude<KeyState, "pending">;
  /** Milliseconds since the epoch. */
  readonly createdAt?: number;
  /**
   * The secret as {@link importKeyMaterial} returns it; called when it is needed.
   *
   * Return the same object every time while it is held: the keys derived from it are kept as long as it is.
   */
  material(): KeyObject | Promise<KeyObject>;
}
