import type { Bytes } from "@lango/crypto-core";
import type { Kdf } from "./kdf.ts";
import type { Keyslots, Slot } from "./keyslots.ts";
import type { ResolvedRecipient, WrappingProvider } from "./recipients.ts";

export type SlotCredential =
  | {
      readonly kind: "passphrase";
      readonly passphrase: Uint8Array;
      readonly kdf?: Kdf;
      readonly label?: string;
    }
  | {
      readonly kind: "master-key-file" | "env" | "keyring";
      readonly key: Uint8Array;
      readonly label?: string;
    }
  | { readonly kind: "recovery"; readonly entropy: Uint8Array; readonly label?: string }
  | {
      readonly kind: "provider";
      readonly uri: string;
      readonly provider: WrappingProvider;
      readonly keyId: string;
      readonly label?: string;
    };
export const createSlot = (
  _vaultKey: Uint8Array,
  _vaultId: Uint8Array,
  _credential: SlotCredential,
): Promise<Slot> => Promise.reject(new Error("soon"));
export const openSlot = (_keyslots: Keyslots, _slot: Slot, _secret: Uint8Array): Promise<Bytes> =>
  Promise.reject(new Error("soon"));
export const unwrapSlotKey = (
  _keyslots: Keyslots,
  _slot: Slot,
  _options: ResolvedRecipient & { readonly signal?: AbortSignal | undefined },
): Promise<Bytes> => Promise.reject(new Error("soon"));
