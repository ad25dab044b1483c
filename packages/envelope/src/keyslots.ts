import type { Bytes } from "@lango/crypto-core";
import type { KdfJson } from "./kdf.ts";

export type SlotKind =
  | "passphrase"
  | "recovery"
  | "master-key-file"
  | "env"
  | "keyring"
  | "provider";
export interface Slot {
  /** 24 hex characters. */
  readonly id: string;
  readonly kind: SlotKind;
  readonly label?: string;
  /** ISO 8601, UTC, milliseconds. */
  readonly createdAt: string;
  readonly kdf?: KdfJson;
  readonly uri?: string;
  readonly keyVersion?: string;
  readonly wrapped?: string;
  /** base64 of LNG1 of the vault key. */
  readonly sealed: string;
}
export interface Keyslots {
  readonly version: 1;
  readonly vaultId: string;
  readonly generation: number;
  readonly slots: readonly Slot[];
  readonly sha256: string;
  readonly mac: string;
}
export const parseKeyslots = (_file: Uint8Array): Keyslots => {
  throw new Error("soon");
};
export const serializeKeyslots = (_keyslots: Keyslots): Bytes => {
  throw new Error("soon");
};
export const buildKeyslots = (
  _vaultKey: Uint8Array,
  _content: Pick<Keyslots, "vaultId" | "generation" | "slots">,
): Keyslots => {
  throw new Error("soon");
};
export const verifyKeyslots = (_vaultKey: Uint8Array, _keyslots: Keyslots): void => {
  throw new Error("soon");
};
