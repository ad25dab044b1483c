import {
  CryptoError,
  type CryptoProvider,
  createCryptoClient,
  formatKeyUri,
  type KeyAlgorithm,
  type KeyUsage,
  parseKeyUri,
} from "@lango/crypto-core";
import type { KeyType } from "@lango/vault";
import type { Keyring } from "./crypto.ts";
import { providerFor } from "./remote-key.ts";

/** What is made when nothing is said: the first that the provider makes. */
const PREFERRED: Readonly<Record<KeyType, readonly KeyAlgorithm[]>> = {
  encryption: ["aes-256-gcm", "rsa-3072", "rsa-2048", "rsa-4096"],
  signing: ["ecdsa-p256", "rsa-3072", "hmac-sha256"],
};

/**
 * Makes a key at a provider.
 *
 * @param uri - The name that it shall have there.
 * @returns The URI that it has.
 */
export async function createRemoteKey(
  { vault, providers }: Keyring,
  uri: string,
  type: KeyType,
  wanted: KeyAlgorithm | undefined,
): Promise<string> {
  const { scheme, keyId } = parseKeyUri(uri);
  const provider = providerFor(providers, scheme);
  const algorithm = wanted ?? defaultOf(provider, type);
  const client = createCryptoClient({ provider });
  const made = await client.createKey({ keyId, algorithm, usage: usageOf(type, algorithm) });
  const target = formatKeyUri(scheme, made.keyId);
  await vault.audit.append({ action: "key.create", target: target.slice(0, 1024).toWellFormed() });
  return target;
}

function defaultOf({ name, capabilities }: CryptoProvider, type: KeyType): KeyAlgorithm {
  const found = PREFERRED[type].find((each) => capabilities.keyAlgorithms.includes(each));
  if (found !== undefined) return found;
  throw new CryptoError("ERR_UNSUPPORTED", `${name} makes no ${type} keys`, {
    context: { provider: name, hint: "Make it with the service's own tools" },
  });
}

const usageOf = (type: KeyType, algorithm: KeyAlgorithm): KeyUsage => {
  if (type === "encryption") return "encryption";
  return algorithm.startsWith("hmac-") ? "mac" : "signing";
};
