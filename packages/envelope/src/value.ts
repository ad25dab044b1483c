import type { Bytes } from "@lango/crypto-core";
import type { DataKey } from "./data-key.ts";

export const SEALED_OVERHEAD_BYTES = 80;
export const MAX_VALUE_BYTES: number = 64 * 1024 * 1024;
export interface ValueHeader {
  readonly dataKeyId: Bytes;
  readonly commitment: Bytes;
}
export const sealValue = (_key: DataKey, _plaintext: Uint8Array, _aad: Uint8Array): Bytes => {
  throw new Error("soon");
};
export const openValue = (_key: DataKey, _sealed: Uint8Array, _aad: Uint8Array): Bytes => {
  throw new Error("soon");
};
export const readValueHeader = (_sealed: Uint8Array): ValueHeader => {
  throw new Error("soon");
};
