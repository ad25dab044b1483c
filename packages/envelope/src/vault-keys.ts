import { createSecretKey, type KeyObject } from "node:crypto";
import { type Bytes, CryptoError, zero } from "@lango/crypto-core";
import { createDataKey, DATA_KEY_ID_BYTES, type DataKey } from "./data-key.ts";
import { hkdf } from "./encoding.ts";

export const VAULT_KEY_BYTES = 32;
export const VAULT_ID_BYTES = 16;

/** The keys that come from a vault key, each for one purpose. */
export interface VaultKeys {
  /** Seals the vault's data keys, its audit key and local key material. */
  readonly wrap: DataKey;
  /** HMAC-SHA-256 key of the rows that steer security. */
  readonly rows: KeyObject;
  /** HMAC-SHA-256 key of the keyslots file. */
  readonly slotFile: KeyObject;
  /** HMAC-SHA-256 key of what approvals commit to. */
  readonly approvals: KeyObject;
  /**
   * The raw 32-byte key of an encrypted database; the caller zeroes it.
   *
   * @throws {@link CryptoError} `ERR_CLOSED` after `destroy`.
   */
  database(): Bytes;
  /** Drops what can be dropped: `wrap` and `database` throw `ERR_CLOSED` afterwards. Idempotent. */
  destroy(): void;
}

/**
 * Derives the keys of a vault: HKDF-SHA-256(vault key, salt = vault id, info), each with an info of its own.
 *
 * @param vaultKey - 32 bytes, copied: the caller zeroes them.
 * @param vaultId - 16 bytes.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for another length.
 */
export const deriveVaultKeys = (vaultKey: Uint8Array, vaultId: Uint8Array): VaultKeys => {
  checkVaultKey(vaultKey, vaultId);
  const wrapKey = hkdf(vaultKey, vaultId, "lango/v1/wrap");
  const wrap = createDataKey(
    wrapKey,
    hkdf(vaultKey, vaultId, "lango/v1/wrap-id", DATA_KEY_ID_BYTES),
  );
  zero(wrapKey);
  // Kept for `database` only, which few vaults need.
  let root: KeyObject | undefined = createSecretKey(vaultKey);
  return {
    wrap,
    rows: macKey(vaultKey, vaultId, "lango/v1/rows"),
    slotFile: deriveSlotFileKey(vaultKey, vaultId),
    approvals: macKey(vaultKey, vaultId, "lango/v1/approvals"),
    database: () => {
      if (root === undefined)
        throw new CryptoError("ERR_CLOSED", "The vault's keys were destroyed");
      return hkdf(root, vaultId, "lango/v1/database");
    },
    destroy: () => {
      wrap.destroy();
      root = undefined;
    },
  };
};

/** The HMAC key of the keyslots file alone, for whoever has just opened a slot. */
export const deriveSlotFileKey = (vaultKey: Uint8Array, vaultId: Uint8Array): KeyObject =>
  macKey(vaultKey, vaultId, "lango/v1/slotfile");

/** @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` unless they have 32 and 16 bytes. */
export const checkVaultKey = (vaultKey: Uint8Array, vaultId: Uint8Array): void => {
  if (vaultKey.length !== VAULT_KEY_BYTES || vaultId.length !== VAULT_ID_BYTES) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      `A vault key has 32 bytes and a vault id 16, not ${vaultKey.length} and ${vaultId.length}`,
    );
  }
};

const macKey = (vaultKey: Uint8Array, vaultId: Uint8Array, info: string): KeyObject => {
  const bytes = hkdf(vaultKey, vaultId, info);
  const key = createSecretKey(bytes);
  zero(bytes);
  return key;
};
