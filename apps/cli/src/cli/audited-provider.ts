import {
  type CryptoProvider,
  formatKeyUri,
  isCryptoError,
  type KeyRequest,
  zero,
} from "@lango/crypto-core";
import type { Audience, Vault } from "@lango/vault";

/** What uses key material; reading metadata and public keys leaves no row. The vault does the same for its own keys. */
const AUDITED = [
  ...(["encrypt", "decrypt", "wrapKey", "unwrapKey", "rewrapKey"] as const),
  ...(["sign", "verify", "mac", "verifyMac"] as const),
];

/** A provider of keys outside the vault with each use in the log, a result only after its row is committed. */
export function auditedProvider(
  { audit }: Vault,
  provider: CryptoProvider,
  audience?: Audience,
): CryptoProvider {
  const audited = AUDITED.flatMap((operation) => {
    const method = provider[operation]?.bind(provider) as
      | ((request: KeyRequest) => Promise<unknown>)
      | undefined;
    if (method === undefined) return [];
    const call = async (request: KeyRequest): Promise<unknown> => {
      const target = formatKeyUri(provider.name, request.keyId).slice(0, 1024).toWellFormed();
      const event = { action: `key.${operation}`, target, audience, durability: "normal" } as const;
      let result: unknown;
      try {
        result = await method(request);
      } catch (error) {
        const code = isCryptoError(error) ? error.code : "ERR_INTERNAL";
        await audit.append({ ...event, outcome: "failure", code });
        throw error;
      }
      try {
        await audit.append(event);
      } catch (error) {
        if (result instanceof Uint8Array) zero(result);
        throw error;
      }
      return result;
    };
    return [[operation, call] as const];
  });
  return { ...provider, ...(Object.fromEntries(audited) as Partial<CryptoProvider>) };
}
