import {
  CryptoError,
  type CryptoProvider,
  formatKeyUri,
  isCryptoError,
  type KeyAlgorithm,
  type KeyDescription,
  parseKeyUri,
} from "@lango/crypto-core";
import type { KeyType } from "@lango/vault";

/** A key as the registry describes keys. */
export interface FoundKey {
  /** By which others find it: an alias is resolved. */
  readonly uri: string;
  readonly type: KeyType;
  readonly algorithm: KeyAlgorithm;
}

/** @throws CryptoError `ERR_KEY_NOT_FOUND` for a scheme that no provider is configured for. */
export function providerFor(
  providers: Readonly<Record<string, CryptoProvider>>,
  scheme: string,
): CryptoProvider {
  const provider = Object.hasOwn(providers, scheme) ? providers[scheme] : undefined;
  if (provider !== undefined) return provider;
  throw new CryptoError("ERR_KEY_NOT_FOUND", `No provider ${scheme} is configured`, {
    context: { provider: scheme, hint: "Set security.signer.provider and its settings" },
  });
}

/**
 * Asks a provider for a key that a person named.
 *
 * @param use - What the key is wanted for: a PKCS#11 label may name a key pair and a secret key.
 * @throws CryptoError What the provider throws.
 */
export async function findRemoteKey(
  provider: CryptoProvider,
  uri: string,
  use: KeyType,
): Promise<FoundKey> {
  const { scheme, keyId } = parseKeyUri(uri);
  const { usage, algorithm, keyId: canonical } = await describeRemoteKey(provider, keyId, use);
  const type = usage === "encryption" ? "encryption" : "signing";
  return { uri: formatKeyUri(scheme, canonical), type, algorithm };
}

/** As {@link findRemoteKey}, in the words of the provider. */
export async function describeRemoteKey(
  provider: CryptoProvider,
  keyId: string,
  use: KeyType,
): Promise<KeyDescription> {
  try {
    return await provider.describeKey({ keyId });
  } catch (error) {
    const isAmbiguous = isCryptoError(error) && error.code === "ERR_CONFLICT";
    if (!isAmbiguous || provider.name !== "pkcs11" || keyId.includes("type=")) throw error;
    const isList = keyId.includes(";") || /^[a-z][a-z-]*=/.test(keyId);
    const named = isList ? keyId : `object=${encodeURIComponent(keyId)}`;
    const type = use === "encryption" ? "secret-key" : "private";
    return await provider.describeKey({ keyId: `${named};type=${type}` });
  }
}
