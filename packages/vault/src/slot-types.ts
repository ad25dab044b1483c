import type { Bytes } from "@lango/crypto-core";
import type { CompanionPin, Kdf, SlotCredential, SlotKind } from "@lango/envelope";

/** A keyslot without its sealed key. */
export interface SlotSummary {
  readonly id: string;
  readonly kind: SlotKind;
  readonly label?: string | undefined;
  /** ISO 8601. */
  readonly createdAt: string;
  /** `argon2id`, `pbkdf2-sha256`. Only of passphrases. */
  readonly kdf?: string | undefined;
  /** Only of provider slots. */
  readonly uri?: string | undefined;
  /** The device that holds the key, where a paired one does: it is known here while the database cannot be read. */
  readonly companion?: CompanionPin | undefined;
}
export interface ChangePassphraseOptions {
  readonly oldPassphrase: Uint8Array;
  readonly newPassphrase: Uint8Array;
  /** Default: `defaultKdf()` of `@lango/envelope`, or the costs of the old slot where those are higher. */
  readonly kdf?: Kdf | undefined;
  /** As in {@link CreateVaultOptions}. */
  readonly acceptWeakKdf?: boolean | undefined;
}

/** What opens the vault. */
export interface Slots {
  list(): Promise<SlotSummary[]>;
  /**
   * Whether a slot of a passphrase, words or a raw key opens with this secret, before something is built on it.
   *
   * @param secret - Not changed.
   * @throws `ERR_NOT_FOUND`.
   */
  opens(id: string, secret: Uint8Array): Promise<boolean>;
  /**
   * Puts a slot of the new passphrase in the place of the old one's. Takes the same time at any number of secrets, and
   * does not revoke whoever kept an old copy of `keyslots.json`.
   *
   * @throws `ERR_WRONG_PASSPHRASE` when the old passphrase opens no slot; `ERR_INVALID_ARGUMENT` for a key derivation
   *   below the floor that is not accepted; `ERR_CONFLICT` when another lango holds the lock.
   */
  changePassphrase(options: ChangePassphraseOptions): Promise<SlotSummary>;
  /**
   * Adds a slot and opens it, from the disk, before it counts.
   *
   * @throws `ERR_INVALID_ARGUMENT` for a credential that {@link SlotCredential} does not allow; what a provider throws;
   *   `ERR_CONFLICT` when another lango holds the lock, or the device of the slot is not paired, or no longer with that key.
   */
  add(credential: SlotCredential): Promise<SlotSummary>;
  /**
   * Removes a slot. Whoever kept an older `keyslots.json` can still open that with it.
   *
   * @throws `ERR_NOT_FOUND`; `ERR_CONFLICT` for the last slot, and for the one that opened this vault.
   */
  remove(id: string): Promise<SlotSummary>;
  /**
   * Gives a version of `ENCRYPTION_KEY` a slot unless it has one, and starts new data keys with it. Opening does the same with
   * newer keys that come along with the one that opens.
   *
   * @returns The new slot, if one was made.
   */
  adoptEncryptionKey(key: EncryptionKeyForSlot): Promise<SlotSummary | undefined>;
  /**
   * Removes the slots of all versions of `ENCRYPTION_KEY` but the one that `newest` opens.
   *
   * @throws `ERR_WRONG_PASSPHRASE` when it opens none of them; nothing was changed then.
   */
  removeOlderEncryptionKeys(newest: Uint8Array): Promise<SlotSummary[]>;
}

/** A version of `ENCRYPTION_KEY`. */
export interface EncryptionKeyForSlot {
  /** 32 bytes; not changed. */
  readonly key: Bytes;
  readonly version: number;
  /** The variable that it came from, for the log. */
  readonly variable: string;
}

/** What `handOver` of a vault gives. */
export interface HandedOver {
  /** 32 bytes; the caller zeroes them. */
  readonly vaultKey: Bytes;
  /** The slot that has to be there for the key to open the vault. */
  readonly slotId: string;
}
