import { type HealthReport, isCryptoError } from "@lango/crypto-core";
import { PURPOSES } from "./algorithms.ts";
import { IntegrityMismatch, requireName } from "./checksum.ts";
import type { Scope, Service } from "./service.ts";

/**
 * Reads metadata: of the key, or of the key ring where no key is named. An error is what it reports, not what it throws.
 */
export const health = async (
  service: Service,
  keyId: string | undefined,
  ring: string | undefined,
  scope: Scope,
): Promise<HealthReport> => {
  const startedAt = performance.now();
  let reason: string | undefined;
  try {
    reason = await whyUnhealthy(service, keyId, ring, scope);
  } catch (error) {
    if (!isCryptoError(error) && !(error instanceof IntegrityMismatch)) throw error;
    reason = error.message;
  }
  const times = { checkedAt: Date.now(), latencyMs: performance.now() - startedAt };
  return reason === undefined ? { healthy: true, ...times } : { healthy: false, reason, ...times };
};

const whyUnhealthy = async (
  service: Service,
  keyId: string | undefined,
  ring: string | undefined,
  scope: Scope,
): Promise<string | undefined> => {
  if (keyId === undefined) {
    if (ring === undefined) return "No key is configured, so there is nothing to look at";
    requireName((await service.call("getKeyRing", { name: ring }, scope)).name, ring);
    return undefined;
  }
  const { key } = service.keyOf(keyId);
  const { name, purpose, primary } = await service.call("getCryptoKey", { name: key }, scope);
  requireName(name, key);
  const state = primary?.state;
  // Keys for signing and MACs have no primary version: that they are there is what a cheap read can tell.
  if (purpose !== PURPOSES.encryption || state === "ENABLED") return undefined;
  return `Key ${key} has no enabled primary version: ${state ?? "none"}`;
};
