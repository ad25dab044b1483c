import {
  type Bytes,
  bytesEqual,
  CryptoError,
  type CryptoProvider,
  fromHex,
  parseKeyUri,
  utf8,
  type WrapKeyResult,
  zero,
} from "@lango/crypto-core";
import { openValue, parts, sealValue } from "@lango/envelope";
import type { DataKeyRow, KeyRow } from "@lango/store";
import type { VaultContext } from "./context.ts";
import { keyUri, LOCAL, providerOf } from "./key-registry.ts";

/** What the row of a data key says is its wrapper when that is the vault key. */
export const VAULT_WRAP = "vault:wrap";

const DATA_KEY = utf8("lango/v1/datakey");

/** parts(`lango/v1/datakey`, vault id, data key id). */
export const dataKeyAad = (vaultId: Uint8Array, id: string): Bytes =>
  parts(DATA_KEY, vaultId, fromHex(id) ?? new Uint8Array());

export type ProvidersByScheme = Readonly<Record<string, CryptoProvider>>;
export type WrapContext = Pick<VaultContext, "vaultId" | "keys">;
export type Wrapped = Pick<DataKeyRow, "wrapped" | "wrapUri" | "wrapVersion">;

/** A data key that is being wrapped. */
export interface Wrapping {
  /** 24 hex characters. */
  readonly id: string;
  /** 32 bytes; the caller zeroes them. */
  readonly material: Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

/** Wraps a data key under the vault key. */
export const wrapByVault = (
  { vaultId, keys }: WrapContext,
  { id, material }: Pick<Wrapping, "id" | "material">,
): Wrapped => ({
  wrapped: sealValue(keys.wrap, material, dataKeyAad(vaultId, id)),
  wrapUri: VAULT_WRAP,
  wrapVersion: "1",
});

/** Wraps a data key under a key of the registry: local keys by the vault key, all others by their provider alone. */
export const wrapDataKey = async (
  context: WrapContext,
  providers: ProvidersByScheme,
  key: Pick<KeyRow, "name" | "provider" | "remoteKeyId">,
  { id, material, signal }: Wrapping,
): Promise<Wrapped> => {
  if (key.provider === LOCAL) return wrapByVault(context, { id, material });
  const provider = providerOf(key.provider, providers);
  if (!provider.wrapKey) throw cannotWrap(provider);
  const wrap = await provider.wrapKey({
    keyId: key.remoteKeyId ?? key.name,
    key: material,
    signal,
    ...aadFor(provider, dataKeyAad(context.vaultId, id)),
  });
  return wrappedUnder(key, wrap, "wrapKey");
};

/** What a provider gave, once it is clear that it is of this key. */
export const wrappedUnder = (
  key: Pick<KeyRow, "name" | "provider" | "remoteKeyId">,
  wrap: WrapKeyResult,
  operation: "wrapKey" | "rewrapKey",
): Wrapped => {
  const keyId = key.remoteKeyId ?? key.name;
  if (wrap.degraded || wrap.keyId !== keyId) {
    // The registry has the canonical name, so another one is another key: a composite that fell back, or a fault.
    const message = `Provider ${key.provider} wrapped under another key than ${keyId}`;
    throw new CryptoError("ERR_INTEGRITY", message, {
      context: { provider: key.provider, operation, keyId },
    });
  }
  return { wrapped: wrap.wrappedKey, wrapUri: keyUri(key), wrapVersion: wrap.keyVersion };
};

/** Unwraps a data key by the URI of its row, never by trial. The caller zeroes the 32 bytes. */
export const unwrapDataKey = async (
  { vaultId, keys }: WrapContext,
  providers: ProvidersByScheme,
  row: Pick<DataKeyRow, "id" | "wrapped" | "wrapUri" | "wrapVersion">,
  signal?: AbortSignal,
): Promise<Bytes> => {
  const aad = dataKeyAad(vaultId, row.id);
  if (row.wrapUri === VAULT_WRAP) return openValue(keys.wrap, row.wrapped, aad);
  const { scheme, keyId } = parseKeyUri(row.wrapUri);
  const provider = providerOf(scheme, providers);
  if (!provider.unwrapKey) throw cannotWrap(provider);
  return provider.unwrapKey({
    keyId,
    wrappedKey: row.wrapped,
    keyVersion: row.wrapVersion,
    signal,
    ...aadFor(provider, aad),
  });
};

/** As {@link wrapDataKey}, and opens the wrap again: one that does not open must not take the place of one that does. */
export const wrapProven = async (
  context: WrapContext,
  providers: ProvidersByScheme,
  key: Pick<KeyRow, "name" | "provider" | "remoteKeyId">,
  wrapping: Wrapping,
): Promise<Wrapped> => {
  const wrapped = await wrapDataKey(context, providers, key, wrapping);
  await checkOpens(context, providers, key, wrapped, wrapping);
  return wrapped;
};

/** @throws {@link CryptoError} `ERR_INTEGRITY` when a wrap opens, and gives another data key. */
export const checkOpens = async (
  context: WrapContext,
  providers: ProvidersByScheme,
  key: Pick<KeyRow, "provider">,
  wrapped: Wrapped,
  { id, material, signal }: Wrapping,
): Promise<void> => {
  const opened = await unwrapDataKey(context, providers, { id, ...wrapped }, signal);
  const same = bytesEqual(opened, material);
  zero(opened);
  if (same) return;
  const message = `Provider ${key.provider} does not give back what it wrapped`;
  throw new CryptoError("ERR_INTEGRITY", message, { context: { provider: key.provider } });
};

/**
 * Whether the wrapper is one that this key of the registry allows. The URI of a row is a look-up key and no more: without this,
 * a forged one would choose among all that the providers can reach.
 */
export const isWrappedFor = (
  key: Pick<KeyRow, "name" | "provider" | "remoteKeyId">,
  { wrapUri }: Pick<DataKeyRow, "wrapUri">,
): boolean => wrapUri === VAULT_WRAP || wrapUri === keyUri(key);

export const strangeWrapper = ({ id }: Pick<DataKeyRow, "id">): CryptoError =>
  new CryptoError(
    "ERR_KEY_NOT_FOUND",
    `Data key ${id} names a wrapper that is not its key in the registry`,
    { context: { hint: "Compare the database with the log: lango audit verify --rows" } },
  );

/** Without AAD the commitment in every sealed value, and the MAC of the row, still bind the data key. */
const aadFor = (provider: CryptoProvider, aad: Bytes): { readonly aad?: Bytes } =>
  provider.capabilities.wrapAad ? { aad } : {};

const cannotWrap = ({ name }: CryptoProvider): CryptoError =>
  new CryptoError("ERR_UNSUPPORTED", `Provider ${name} cannot wrap keys`, {
    context: { provider: name },
  });
