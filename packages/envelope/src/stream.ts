import type { Bytes } from "@lango/crypto-core";
import type { DataKey } from "./data-key.ts";

export interface StreamHeader {
  readonly dataKeyId: Bytes;
  readonly commitment: Bytes;
  readonly salt: Bytes;
}
export const sealStream = (_key: DataKey, _aad: Uint8Array): TransformStream<Uint8Array, Bytes> => {
  throw new Error("soon");
};
export const openStream = (_key: DataKey, _aad: Uint8Array): TransformStream<Uint8Array, Bytes> => {
  throw new Error("soon");
};
export const readStreamHeader = (_bytes: Uint8Array): StreamHeader => {
  throw new Error("soon");
};
