import {
  CryptoError,
  type CryptoProvider,
  createComposite,
  decryptionFailed,
  isCryptoError,
  parseKeyUri,
  utf8,
} from "@lango/crypto-core";
import type { OpenOptions, Recipient } from "@lango/envelope";
import type { Vault } from "@lango/vault";
import type { Arguments } from "./arguments.ts";

/** All keys that this vault can use, addressed by key URI. */
export const compositeOf = (vault: Vault): CryptoProvider =>
  createComposite({ providers: { local: vault.keys.provider() } });

/** A key as people may write it: a URI, or the bare name of a local key. */
export function toKeyUri(key: string): string {
  const uri = key.includes(":") ? key : `local:${key}`;
  // Refuses what no key URI may hold, before anything is asked for it.
  parseKeyUri(uri);
  return uri;
}

/** The keys that shall be able to open what is sealed: `--key`, or the default key. */
export function recipientsOf(vault: Vault, uris: readonly string[]): Recipient[] {
  const provider = compositeOf(vault);
  return uris.map((uri) => ({ uri, provider, keyId: uri }));
}

/**
 * Runs one of the functions that open. The key of a header is looked up among the keys of the registry: a URI in a header
 * never causes anything else.
 *
 * @param only - The one key that may be used.
 * @throws CryptoError `ERR_DECRYPTION_FAILED` if the message is for other keys than `only`: a wrong key is a wrong key,
 *   whether the header shows it or the cipher.
 */
export async function openWith<T>(
  vault: Vault,
  only: string | undefined,
  open: (resolve: OpenOptions["resolve"]) => Promise<T>,
): Promise<T> {
  const provider = compositeOf(vault);
  const known = new Set((await vault.keys.list()).map(({ uri }) => uri));
  if (only !== undefined && !known.has(only)) {
    throw new CryptoError("ERR_KEY_NOT_FOUND", `There is no key ${only}`, {
      context: { keyId: only, hint: 'Run "lango keys list"' },
    });
  }
  try {
    return await open(async (uri) =>
      known.has(uri) && (only === undefined || only === uri) ? { provider, keyId: uri } : undefined,
    );
  } catch (error) {
    const notForIt = isCryptoError(error) && error.code === "ERR_KEY_NOT_FOUND";
    throw only !== undefined && notForIt ? decryptionFailed() : error;
  }
}

/** `--aad` as bytes. */
export const aadOf = (args: Arguments): Uint8Array => utf8(args.string("aad") ?? "");
