import {
  type Bytes,
  CryptoError,
  type CryptoProvider,
  fromHex,
  parseKeyUri,
  utf8,
} from "@lango/crypto-core";
import { openValue, parts, sealValue } from "@lango/envelope";
import type { DataKeyRow, KeyRow } from "@lango/store";
import type { VaultContext } from "./context.ts";
import { keyUri, LOCAL, providerOf } from "./key-registry.ts";

/** What the row of a data key says is its wrapper when that is the vault key. */
export const VAULT_WRAP = "vault:wrap";

const DATA_KEY = utf8("lango/v1/datakey");

/** parts(`lango/v1/datakey`, vault id, data key id). */
export const dataKeyAad = (vaultId: Uint8Array, id: Uint8Array): Bytes =>
  parts(DATA_KEY, vaultId, id);

type Providers = Readonly<Record<string, CryptoProvider>>;
type Wrapped = Pick<DataKeyRow, "wrapped" | "wrapUri" | "wrapVersion">;

/** Wraps a new data key: local keys by the vault key, all others by their provider alone. */
export const wrapDataKey = async (
  { vaultId, keys }: Pick<VaultContext, "vaultId" | "keys">,
  providers: Providers,
  key: KeyRow,
  id: Uint8Array,
  material: Uint8Array,
): Promise<Wrapped> => {
  const aad = dataKeyAad(vaultId, id);
  if (key.provider === LOCAL) {
    return { wrapped: sealValue(keys.wrap, material, aad), wrapUri: VAULT_WRAP, wrapVersion: "1" };
  }
  const provider = providerOf(key.provider, providers);
  if (!provider.wrapKey) throw cannotWrap(provider);
  const keyId = key.remoteKeyId ?? key.name;
  const { wrappedKey, keyVersion } = await provider.wrapKey({
    keyId,
    key: material,
    ...aadFor(provider, aad),
  });
  return { wrapped: wrappedKey, wrapUri: keyUri(key), wrapVersion: keyVersion };
};

/** Unwraps a data key by the URI of its row, never by trial. The caller zeroes the 32 bytes. */
export const unwrapDataKey = async (
  { vaultId, keys }: Pick<VaultContext, "vaultId" | "keys">,
  providers: Providers,
  row: DataKeyRow,
  signal?: AbortSignal,
): Promise<Bytes> => {
  const aad = dataKeyAad(vaultId, fromHex(row.id) ?? new Uint8Array());
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

/** Without AAD the commitment in every sealed value, and the MAC of the row, still bind the data key. */
const aadFor = (provider: CryptoProvider, aad: Bytes): { readonly aad?: Bytes } =>
  provider.capabilities.wrapAad ? { aad } : {};

const cannotWrap = ({ name }: CryptoProvider): CryptoError =>
  new CryptoError("ERR_UNSUPPORTED", `Provider ${name} cannot wrap keys`, {
    context: { provider: name },
  });
