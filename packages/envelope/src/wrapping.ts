import {
  type Bytes,
  CryptoError,
  type CryptoProvider,
  type WrapKeyResult,
} from "@lango/crypto-core";

/** Who can wrap a key: a provider, or the client over one. */
export type WrappingProvider = Pick<CryptoProvider, "name" | "capabilities" | "wrapKey">;
/** Who can unwrap a key: a provider, or the client over one. */
export type UnwrappingProvider = Pick<CryptoProvider, "name" | "capabilities" | "unwrapKey">;

interface WrapOptions {
  readonly keyId: string;
  /** Bound by the wrap where the provider can; elsewhere the commitment of the data key binds. */
  readonly aad: Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

/** @throws {@link CryptoError} `ERR_UNSUPPORTED` if the provider cannot wrap, and whatever it throws. */
export const wrapWith = (
  provider: WrappingProvider,
  options: WrapOptions & { readonly key: Uint8Array },
): Promise<WrapKeyResult> => {
  if (provider.wrapKey === undefined) throw unsupported(provider.name, "wrapKey", options.keyId);
  return provider.wrapKey(forProvider(provider, options));
};

/** @throws {@link CryptoError} `ERR_UNSUPPORTED` if the provider cannot unwrap, and whatever it throws. */
export const unwrapWith = (
  provider: UnwrappingProvider,
  options: WrapOptions & { readonly wrappedKey: Uint8Array; readonly keyVersion: string },
): Promise<Bytes> => {
  if (provider.unwrapKey === undefined)
    throw unsupported(provider.name, "unwrapKey", options.keyId);
  return provider.unwrapKey(forProvider(provider, options));
};

const forProvider = <O extends WrapOptions>(
  provider: Pick<CryptoProvider, "capabilities">,
  options: O,
): Omit<O, "aad"> & { aad: Uint8Array | undefined } => ({
  ...options,
  aad: provider.capabilities.wrapAad ? options.aad : undefined,
});

const unsupported = (provider: string, operation: string, keyId: string): CryptoError =>
  new CryptoError("ERR_UNSUPPORTED", `Provider ${provider} has no ${operation}`, {
    context: { provider, operation, keyId },
  });
