import type { CryptoErrorCode, CryptoProvider } from "@lango/crypto-core";
import { CryptoError } from "@lango/crypto-core";
import { createLocalProvider } from "@lango/crypto-local";
import type { Recipient, ResolvedRecipient, ResolveRecipient } from "@lango/envelope";
import { bytes } from "./support.ts";

/** A local provider with the wrapping keys that are named; their bytes depend on their names only. */
export const localKeys = (...ids: readonly string[]): CryptoProvider =>
  createLocalProvider({
    keys: ids.map((id) => ({
      id,
      algorithm: "aes-256-gcm" as const,
      versions: [{ version: 1, material: bytes(32, id.charCodeAt(0)) }],
    })),
  });

export const recipient = (provider: CryptoProvider, keyId: string): Recipient => ({
  uri: `local:${keyId}`,
  provider,
  keyId,
});

/** Knows exactly these recipients; `asked` collects what was looked up. */
export const resolver =
  (known: Readonly<Record<string, ResolvedRecipient>>, asked: string[] = []): ResolveRecipient =>
  async (uri) => {
    asked.push(uri);
    return known[uri];
  };

/** The same provider, whose unwrapKey always fails with one code; `calls` counts. */
export const failing = (
  provider: CryptoProvider,
  code: CryptoErrorCode,
  calls: { count: number } = { count: 0 },
): CryptoProvider => ({
  ...provider,
  unwrapKey: async () => {
    calls.count += 1;
    throw new CryptoError(code, "it fails");
  },
});

/** The same provider, as one whose wrap has no AAD. */
export const withoutWrapAad = (provider: CryptoProvider): CryptoProvider => ({
  ...provider,
  capabilities: { ...provider.capabilities, wrapAad: false },
  wrapKey: (request) => {
    if (request.aad !== undefined) throw new CryptoError("ERR_UNSUPPORTED", "no AAD here");
    return provider.wrapKey!(request);
  },
  unwrapKey: (request) => {
    if (request.aad !== undefined) throw new CryptoError("ERR_UNSUPPORTED", "no AAD here");
    return provider.unwrapKey!(request);
  },
});
