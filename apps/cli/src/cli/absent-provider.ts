import type { CryptoProvider, Operation } from "@lango/crypto-core";

const OPERATIONS: readonly Operation[] = [
  ...(["encrypt", "decrypt", "wrapKey", "unwrapKey", "rewrapKey"] as const),
  ...(["sign", "verify", "mac", "verifyMac", "getPublicKey"] as const),
  ...(["createKey", "rotateKey", "describeKey", "listKeys", "health"] as const),
];

/**
 * Stands for a provider that is not installed or not well configured: every operation fails with the reason. So a
 * command that uses no key of it works, and one that does says what is wrong. It is no failure to reach a service, and
 * nothing falls back because of it.
 */
export function absentProvider(name: string, reason: Error): CryptoProvider {
  const fail = async (): Promise<never> => {
    throw reason;
  };
  return {
    name,
    capabilities: {
      operations: OPERATIONS,
      // One for each use, so that making a key gets as far as the reason.
      keyAlgorithms: ["aes-256-gcm", "ecdsa-p256"],
      signatureAlgorithms: [],
      macAlgorithms: [],
      aad: true,
      wrapAad: true,
      maxPlaintextBytes: Number.MAX_SAFE_INTEGER,
      maxAadBytes: Number.MAX_SAFE_INTEGER,
      maxWrapBytes: Number.MAX_SAFE_INTEGER,
      signDigest: true,
      protection: "remote",
      remote: false,
    },
    ...{ encrypt: fail, decrypt: fail, wrapKey: fail, unwrapKey: fail, rewrapKey: fail },
    ...{ sign: fail, verify: fail, mac: fail, verifyMac: fail, getPublicKey: fail },
    ...{ createKey: fail, rotateKey: fail, describeKey: fail },
    listKeys: () => ({ [Symbol.asyncIterator]: () => ({ next: fail }) }),
    health: async () => ({
      healthy: false,
      checkedAt: Date.now(),
      latencyMs: 0,
      reason: reason.message,
    }),
    close: async () => undefined,
  };
}
