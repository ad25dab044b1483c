import type { Bytes } from "@lango/crypto-core";
import type { UnwrappingProvider, WrappingProvider } from "./wrapping.ts";

/** One key that will be able to open what is sealed. */
export interface Recipient {
  /** The key URI that is written into the header, e.g. `aws-kms:arn:aws:kms:…`. */
  readonly uri: string;
  readonly provider: WrappingProvider;
  /** The provider's own name of the key. */
  readonly keyId: string;
}
/** Where a key URI of a header leads, among what is configured. */
export interface ResolvedRecipient {
  readonly provider: UnwrappingProvider;
  readonly keyId: string;
}
export type ResolveRecipient = (
  uri: string,
  keyVersion: string,
) => Promise<ResolvedRecipient | undefined>;

export interface SealOptions {
  readonly recipients: readonly Recipient[];
  readonly aad?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
}
export interface OpenOptions {
  readonly resolve: ResolveRecipient;
  readonly aad?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
}
export const userAad = (_aad?: Uint8Array): Bytes => {
  throw new Error("soon");
};
export const seal = (_options: SealOptions & { readonly plaintext: Uint8Array }): Promise<Bytes> =>
  Promise.reject(new Error("soon"));
export const open = (_options: OpenOptions & { readonly sealed: Uint8Array }): Promise<Bytes> =>
  Promise.reject(new Error("soon"));
export const createSealStream = (_options: SealOptions): TransformStream<Uint8Array, Bytes> => {
  throw new Error("soon");
};
export const createOpenStream = (_options: OpenOptions): TransformStream<Uint8Array, Bytes> => {
  throw new Error("soon");
};
