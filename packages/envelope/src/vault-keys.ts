import { createSecretKey, type KeyObject } from "node:crypto";
import { type Bytes, CryptoError, toPlain, zero } from "@lango/crypto-core";
import { createDataKey, DATA_KEY_ID_BYTES, type DataKey } from "./data-key.ts";
import { hkdf } from "./encoding.ts";
import { type InheritedKeys, type InheritedName, openInherited } from "./inherited.ts";

export const VAULT_KEY_BYTES = 32;
export const VAULT_ID_BYTES = 16;

/** The HMAC-SHA-256 keys of the rows that steer security. */
export interface RowsKeys {
  /** What rows are written with. */
  readonly current: KeyObject;
  /** What rows may still be under while all are being written anew; see {@link VaultKeys.endFormerRows}. */
  readonly former?: KeyObject | undefined;
}

/** The keys that come from a vault key, each for one purpose. */
export interface VaultKeys {
  /** Seals the vault's data keys, its audit key and local key material. */
  readonly wrap: DataKey;
  readonly rows: RowsKeys;
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
  /** The raw key under which an encrypted database may still be while it is being written anew; the caller zeroes it. */
  formerDatabase(): Bytes | undefined;
  /** Drops the former key of `rows`: no row is under it any more. */
  endFormerRows(): void;
  /** Drops what can be dropped: `wrap` and `database` throw `ERR_CLOSED` afterwards. Idempotent. */
  destroy(): void;
}

/**
 * Derives the keys of a vault: HKDF-SHA-256(vault key, salt = vault id, info), each with an info of its own. Those that
 * the vault inherited are opened instead.
 *
 * @param vaultKey - 32 bytes, copied: the caller zeroes them.
 * @param vaultId - 16 bytes.
 * @param inherited - Of the keyslots file whose MAC was checked.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for another length; `ERR_DECRYPTION_FAILED` for inherited keys that
 *   are not of this vault key, this vault and this name.
 */
export const deriveVaultKeys = (
  vaultKey: Uint8Array,
  vaultId: Uint8Array,
  inherited: InheritedKeys = {},
): VaultKeys => {
  checkVaultKey(vaultKey, vaultId);
  const wrap = deriveWrapKey(vaultKey, vaultId);
  const opened = (name: InheritedName): KeyObject | undefined =>
    openInherited(wrap, vaultId, inherited, name);
  const former = opened("formerRows");
  const current = opened("rows") ?? macKey(vaultKey, vaultId, "lango/v1/rows");
  const rows: { readonly current: KeyObject; former?: KeyObject | undefined } = { current };
  if (former) rows.former = former;
  // Kept for `database` only, which few vaults need.
  let root: KeyObject | undefined = createSecretKey(vaultKey);
  const inheritedDatabase = opened("database");
  const formerDatabase = opened("formerDatabase");
  return {
    wrap,
    rows,
    slotFile: deriveSlotFileKey(vaultKey, vaultId),
    approvals: opened("approvals") ?? macKey(vaultKey, vaultId, "lango/v1/approvals"),
    database: () => {
      if (root === undefined)
        throw new CryptoError("ERR_CLOSED", "The vault's keys were destroyed");
      return inheritedDatabase
        ? toPlain(inheritedDatabase.export())
        : hkdf(root, vaultId, "lango/v1/database");
    },
    formerDatabase: () => formerDatabase && toPlain(formerDatabase.export()),
    endFormerRows: () => {
      rows.former = undefined;
    },
    destroy: () => {
      wrap.destroy();
      root = undefined;
    },
  };
};

const deriveWrapKey = (vaultKey: Uint8Array, vaultId: Uint8Array): DataKey => {
  const wrapKey = hkdf(vaultKey, vaultId, "lango/v1/wrap");
  const id = hkdf(vaultKey, vaultId, "lango/v1/wrap-id", DATA_KEY_ID_BYTES);
  try {
    return createDataKey(wrapKey, id);
  } finally {
    zero(wrapKey);
  }
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
