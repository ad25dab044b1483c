import {
  type CryptoClient,
  type CryptoProvider,
  createCryptoClient,
  decryptionFailed,
  isCryptoError,
  parseKeyUri,
  utf8,
} from "@lango/crypto-core";
import type { OpenOptions, Recipient } from "@lango/envelope";
import type { Audience, KeyType, Vault } from "@lango/vault";
import type { Arguments } from "./arguments.ts";
import { auditedProvider } from "./audited-provider.ts";
import { type FoundKey, findRemoteKey, providerFor } from "./remote-key.ts";

/** The keys that a command can use: those of the vault, and those of the providers that are configured. */
export interface Keyring {
  readonly vault: Vault;
  /** By scheme. */
  readonly providers: Readonly<Record<string, CryptoProvider>>;
  /** Who works with them, for the audit. Default: the owner. */
  readonly audience?: Audience;
}

/**
 * Refuses what is neither a key URI nor a bare name, before anything is asked for it.
 *
 * @returns It, a bare name as the URI of the local key.
 */
export function checkKey(key: string): string {
  parseKeyUri(key.includes(":") ? key : `local:${key}`);
  return key;
}

/**
 * Finds a key by the name that it has in the registry, or by its URI. Only a URI that a person gave may lead to a key of a
 * provider that is not registered; one that stood in data never does.
 *
 * @throws CryptoError `ERR_KEY_NOT_FOUND`; what the provider throws.
 */
export async function findKey(
  { vault, providers }: Keyring,
  key: string,
  use: KeyType,
): Promise<FoundKey> {
  try {
    return await vault.keys.describe(key);
  } catch (error) {
    const isAbsent = isCryptoError(error) && error.code === "ERR_KEY_NOT_FOUND";
    const scheme = key.includes(":") ? parseKeyUri(key).scheme : "";
    if (!isAbsent || !Object.hasOwn(providers, scheme)) throw error;
    return await findRemoteKey(providerFor(providers, scheme), key, use);
  }
}

/** The client and key id behind a key URI; each use is in the log. */
export function clientFor(
  { vault, providers, audience }: Keyring,
  uri: string,
): { readonly client: CryptoClient; readonly keyId: string } {
  const { scheme, keyId } = parseKeyUri(uri);
  if (scheme === "local") {
    return { client: createCryptoClient({ provider: vault.keys.provider({ audience }) }), keyId };
  }
  const provider = providerFor(providers, scheme);
  return {
    client: createCryptoClient({ provider: auditedProvider(vault, provider, audience) }),
    keyId,
  };
}

/** The keys that shall be able to open what is sealed: those of `--key`, or the default key. */
export async function recipientsOf(
  keyring: Keyring,
  keys: readonly string[],
): Promise<Recipient[]> {
  const uris = new Set<string>();
  for (const key of keys) uris.add((await findKey(keyring, key, "encryption")).uri);
  return [...uris].map((uri) => {
    const { client, keyId } = clientFor(keyring, uri);
    return { uri, provider: client, keyId };
  });
}

/**
 * Runs one of the functions that open. The key of a header is looked up among the keys of the registry and the one that
 * was given: a URI in a header never causes anything else.
 *
 * @param only - The one key that may be used.
 * @throws CryptoError `ERR_DECRYPTION_FAILED` if the message is for other keys than `only`: a wrong key is a wrong key,
 *   whether the header shows it or the cipher.
 */
export async function openWith<T>(
  keyring: Keyring,
  only: string | undefined,
  open: (resolve: OpenOptions["resolve"]) => Promise<T>,
): Promise<T> {
  const keys = await keyring.vault.keys.list();
  // A key that was put under a provider still opens what it sealed while it was local.
  const known = new Set(keys.flatMap(({ uri, name }) => [uri, `local:${name}`]));
  if (only !== undefined) {
    const uri = known.has(only) ? only : (await findKey(keyring, only, "encryption")).uri;
    known.clear();
    known.add(uri);
  }
  try {
    return await open(async (uri) => {
      if (!known.has(uri)) return undefined;
      const { client, keyId } = clientFor(keyring, uri);
      return { provider: client, keyId };
    });
  } catch (error) {
    const notForIt =
      isCryptoError(error) &&
      error.code === "ERR_KEY_NOT_FOUND" &&
      error.context.operation === "open";
    throw only !== undefined && notForIt ? decryptionFailed() : error;
  }
}

/** `--aad` as bytes. */
export const aadOf = (args: Arguments): Uint8Array => utf8(args.string("aad") ?? "");
