import {
  CryptoError,
  formatKeyUri,
  type KeyDescription,
  parseKeyUri,
  randomBytesFresh,
  toHex,
  zero,
} from "@lango/crypto-core";
import { newDataKeyId } from "@lango/envelope";
import type { KeyRow } from "@lango/store";
import type { VaultContext } from "./context.ts";
import { type ProvidersByScheme, wrapProven } from "./data-key-wrap.ts";
import { LOCAL, providerOf } from "./key-registry.ts";

/** What a row of the registry says of a key that a provider holds. */
export type RemoteColumns = Pick<KeyRow, "algorithm" | "provider" | "keyVersion"> & {
  /** The provider's canonical name: an alias may stand for another key tomorrow, and a wrap is of one key. */
  readonly remoteKeyId: string;
};

export interface RemoteKey {
  readonly columns: RemoteColumns;
  readonly described: KeyDescription;
}

/** Asks a configured provider what a key is. @throws {@link CryptoError} `ERR_KEY_DISABLED` unless it is enabled. */
export const findRemoteKey = async (
  providers: ProvidersByScheme,
  uri: string,
  signal?: AbortSignal,
): Promise<RemoteKey> => {
  const { scheme, keyId } = parseKeyUri(uri);
  if (scheme === LOCAL) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", `${uri} is no key of a provider`);
  }
  const described = await providerOf(scheme, providers).describeKey({ keyId, signal });
  // Refuses a name that could not be stored.
  formatKeyUri(scheme, described.keyId);
  if (described.state !== "enabled") {
    const message = `Key ${scheme}:${described.keyId} is ${described.state}`;
    throw new CryptoError("ERR_KEY_DISABLED", message, {
      context: { provider: scheme, keyId: described.keyId },
    });
  }
  const { algorithm, keyVersion } = described;
  const columns = { algorithm, provider: scheme, remoteKeyId: described.keyId, keyVersion };
  return { columns, described };
};

/** Finds a key that shall wrap data keys, and has it wrap and unwrap 32 random bytes. */
export const findWrappingKey = async (
  context: Pick<VaultContext, "vaultId" | "keys">,
  providers: ProvidersByScheme,
  uri: string,
  signal?: AbortSignal,
): Promise<RemoteColumns> => {
  const { columns, described } = await findRemoteKey(providers, uri, signal);
  if (described.usage !== "encryption") {
    const keyId = formatKeyUri(columns.provider, columns.remoteKeyId);
    const message = `Key ${keyId} is for ${described.usage}, not for encryption`;
    throw new CryptoError("ERR_KEY_USAGE", message, { context: { keyId } });
  }
  const material = randomBytesFresh(32);
  try {
    const wrapping = { id: toHex(newDataKeyId()), material, signal };
    await wrapProven(context, providers, { name: "", ...columns }, wrapping);
  } finally {
    zero(material);
  }
  return columns;
};
