import { parseKeyUri, randomBytesFresh, toHex, zero } from "@lango/crypto-core";
import type { DataKeyRow, KeyRow, KeyVersionRow } from "@lango/store";
import { newDataKeyRow } from "./active-data-keys.ts";
import type { VaultContext } from "./context.ts";
import type { ProvidersByScheme } from "./data-key-wrap.ts";
import { newLocalKey } from "./local-keys.ts";
import { DEFAULT_KEY, SECRETS } from "./names.ts";
import type { ProviderKey } from "./provider-types.ts";
import { findWrappingKey } from "./remote-key.ts";
import { withMac } from "./rows.ts";

/** The key `default` of a new vault, and its first data key. */
export interface FirstKeys {
  readonly key: KeyRow;
  /** Of a local key. */
  readonly version?: KeyVersionRow | undefined;
  readonly dataKey: DataKeyRow;
}

type Context = Pick<VaultContext, "vaultId" | "keys" | "clock">;

/** The provider of the key `default`, by its scheme. */
export const providersOf = (defaultKey: ProviderKey | undefined): ProvidersByScheme =>
  defaultKey ? { [parseKeyUri(defaultKey.uri).scheme]: defaultKey.provider } : {};

export const makeFirstKeys = async (
  context: Context,
  defaultKey: ProviderKey | undefined,
): Promise<FirstKeys> => {
  const made = defaultKey ? await remoteKey(context, defaultKey) : localKey(context);
  const place = { key: made.key, domain: SECRETS, unavailable: undefined };
  return { ...made, dataKey: await newDataKeyRow(context, providersOf(defaultKey), place) };
};

const localKey = (context: Context): Omit<FirstKeys, "dataKey"> => {
  const material = randomBytesFresh(32);
  try {
    return newLocalKey(context, { id: DEFAULT_KEY, algorithm: "aes-256-gcm", material });
  } finally {
    zero(material);
  }
};

const remoteKey = async (
  context: Context,
  defaultKey: ProviderKey,
): Promise<Omit<FirstKeys, "dataKey">> => {
  const columns = await findWrappingKey(context, providersOf(defaultKey), defaultKey.uri);
  const key = withMac(context.keys.rows, "keys", {
    id: toHex(randomBytesFresh(12)),
    name: DEFAULT_KEY,
    type: "encryption",
    ...columns,
    publicKey: null,
    state: "enabled",
    createdAt: context.clock(),
    lastUsedAt: null,
  });
  return { key };
};
