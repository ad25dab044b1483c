import {
  type CryptoProvider,
  parseKeyUri,
  randomBytesFresh,
  toHex,
  zero,
} from "@lango/crypto-core";
import { newDataKeyId } from "@lango/envelope";
import type { DataKeyRow, KeyRow } from "@lango/store";
import {
  checkOpens,
  dataKeyAad,
  type ProvidersByScheme,
  type WrapContext,
  type Wrapped,
  wrapDataKey,
  wrappedUnder,
} from "./data-key-wrap.ts";
import { LOCAL, providerOf } from "./key-registry.ts";

type Key = Pick<KeyRow, "name" | "provider" | "remoteKeyId">;

/** A provider that moves wrapped keys from one of its keys to another by itself. */
export type Rewrapper = CryptoProvider & Required<Pick<CryptoProvider, "rewrapKey">>;

/** Without AAD the provider would take the wrap of one data key for that of another. */
const isRewrapper = (provider: CryptoProvider): provider is Rewrapper =>
  provider.capabilities.operations.includes("rewrapKey") &&
  provider.rewrapKey !== undefined &&
  provider.capabilities.wrapAad;

/**
 * The provider in which data keys go from one key to another, or to its current version; none when the keys are of two providers, or
 * of one that cannot do it. It is tried with 32 random bytes, which have to come back.
 *
 * @throws {@link CryptoError} Whatever the provider throws: a refusal is no reason to fetch the data keys out of it.
 */
export const findRewrapper = async (
  context: WrapContext,
  providers: ProvidersByScheme,
  from: Key,
  to: Key,
  signal: AbortSignal | undefined,
): Promise<Rewrapper | undefined> => {
  if (to.provider === LOCAL || from.provider !== to.provider) return undefined;
  const provider = providerOf(to.provider, providers);
  if (!isRewrapper(provider)) return undefined;
  const wrapping = { id: toHex(newDataKeyId()), material: randomBytesFresh(32), signal };
  try {
    const wrapped = await wrapDataKey(context, providers, to, wrapping);
    const row = { id: wrapping.id, ...wrapped };
    const again = await rewrapDataKey(context, provider, row, to, signal);
    await checkOpens(context, providers, to, again, wrapping);
  } finally {
    zero(wrapping.material);
  }
  return provider;
};

/**
 * Has the provider wrap a data key under another of its keys. The data key does not come into this process, so the rule that a wrap is
 * opened before it takes the place of another is kept inside the provider too: it re-wraps the new wrap once more, for which it needs
 * the new key, the bytes unaltered and the AAD of this data key. What that gives is dropped. That the provider seals what it opened
 * cannot be seen so, and was tried by {@link findRewrapper}; to compare every data key would be to unwrap every one twice.
 */
export const rewrapDataKey = async (
  { vaultId }: WrapContext,
  provider: Rewrapper,
  row: Pick<DataKeyRow, "id" | "wrapped" | "wrapUri" | "wrapVersion">,
  to: Key,
  signal: AbortSignal | undefined,
): Promise<Wrapped> => {
  const toKeyId = to.remoteKeyId ?? to.name;
  const rewrap = async (from: Wrapped): Promise<Wrapped> => {
    const result = await provider.rewrapKey({
      keyId: parseKeyUri(from.wrapUri).keyId,
      keyVersion: from.wrapVersion,
      toKeyId,
      wrappedKey: from.wrapped,
      aad: dataKeyAad(vaultId, row.id),
      signal,
    });
    return wrappedUnder(to, result, "rewrapKey");
  };
  const rewrapped = await rewrap(row);
  await rewrap(rewrapped);
  return rewrapped;
};
