import type { KeyObject } from "node:crypto";
import type { Bytes } from "@lango/crypto-core";
import type { DataKey } from "./data-key.ts";

export interface VaultKeys {
  /** Seals the data keys, the audit key and local key material. */
  readonly wrap: DataKey;
  /** HMAC-SHA-256 key of the rows that steer security. */
  readonly rows: KeyObject;
  /** HMAC-SHA-256 key of the keyslots file. */
  readonly slotFile: KeyObject;
  /** The raw 32-byte key of an encrypted database; the caller zeroes it. */
  database(): Bytes;
  destroy(): void;
}
export const deriveVaultKeys = (_vaultKey: Uint8Array, _vaultId: Uint8Array): VaultKeys => {
  throw new Error("soon");
};
