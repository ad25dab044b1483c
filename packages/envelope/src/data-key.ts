import type { Bytes } from "@lango/crypto-core";

/** A data key in use: its subkeys are derived, its 32 bytes are in the hands of `node:crypto`. */
export interface DataKey {
  /** The 12 bytes that name it in headers. A copy. */
  readonly id: Bytes;
  /** 32 bytes that commit to the key (`lango/v1/commit`); public. A copy. */
  readonly commitment: Bytes;
  /** Drops the subkeys; every later use throws `ERR_CLOSED`. Idempotent. */
  destroy(): void;
}
export const createDataKey = (_material: Uint8Array, _id: Uint8Array): DataKey => {
  throw new Error("soon");
};
export const newDataKeyId = (): Bytes => {
  throw new Error("soon");
};
