import {
  CryptoError,
  type CryptoProvider,
  type KeyRequest,
  type Operation,
  type RewrapKeyRequest,
  zero,
} from "@lango/crypto-core";
import type { KeyRow } from "@lango/store";
import type { VaultContext } from "./context.ts";
import { auditFailure } from "./failures.ts";
import { type KeyRegistry, keyUri, LOCAL } from "./key-registry.ts";
import { isKeyName } from "./names.ts";
import type { Audience } from "./types.ts";

/** What uses key material or shows what it protects. Reading metadata and public keys leaves no row. */
const AUDITED = [
  "encrypt",
  "decrypt",
  "sign",
  "verify",
  "mac",
  "verifyMac",
  "wrapKey",
  "unwrapKey",
  "rewrapKey",
] as const satisfies readonly Operation[];

/** What changes keys: its row of success is written with the change. */
const CHANGE_ACTIONS = { createKey: "key.create", rotateKey: "key.rotate" } as const;
const CHANGES = ["createKey", "rotateKey"] as const satisfies readonly Operation[];

const SEALING: ReadonlySet<Operation> = new Set(["encrypt", "wrapKey", "rewrapKey"]);

/** The keys that an operation uses; what seals, seals under the last. */
const keyIdsOf = (operation: Operation, request: KeyRequest): string[] =>
  operation === "rewrapKey"
    ? [request.keyId, (request as RewrapKeyRequest).toKeyId]
    : [request.keyId];

/** What a caller made up does not go into the log. */
const targetOf = (keyId: string | undefined): string =>
  isKeyName(keyId) ? `${LOCAL}:${keyId}` : LOCAL;

/** A key that was put under a provider opens what it sealed while it was local; new things go under the provider. */
const checkStillSeals = (row: KeyRow, operation: Operation): void => {
  if (row.provider === LOCAL || !SEALING.has(operation)) return;
  const keyId = `${LOCAL}:${row.name}`;
  const message = `Key ${keyId} seals nothing new since it was put under ${keyUri(row)}`;
  throw new CryptoError("ERR_KEY_DISABLED", message, {
    context: { provider: LOCAL, operation, keyId },
  });
};

/** The provider with its uses in the log: a result is released after its row is committed, a failure has a row too. */
export const auditedProvider = (
  provider: CryptoProvider,
  { log, counters }: Pick<VaultContext, "log" | "counters">,
  registry: KeyRegistry,
  audience?: Audience,
): CryptoProvider => {
  const audited: Partial<Record<Operation, unknown>> = {};
  for (const operation of AUDITED) {
    const method = provider[operation]?.bind(provider) as
      | ((request: KeyRequest) => Promise<unknown>)
      | undefined;
    if (!method) continue;
    audited[operation] = async (request: KeyRequest): Promise<unknown> => {
      const action = `key.${operation}`;
      const keyIds = keyIdsOf(operation, request);
      let result: unknown;
      try {
        const rows = await Promise.all(
          keyIds.map((keyId) => (isKeyName(keyId) ? registry.findNamed(keyId) : undefined)),
        );
        const last = rows.at(-1);
        if (last) checkStillSeals(last, operation);
        result = await method(request);
        await Promise.all(
          keyIds.map((keyId) => log.use({ action, target: targetOf(keyId), audience })),
        );
        for (const row of rows) counters.note({ keyId: row?.id });
        return result;
      } catch (error) {
        if (result instanceof Uint8Array) zero(result);
        await auditFailure(log, { action, target: targetOf(request.keyId), audience }, error);
        throw error;
      }
    };
  }
  for (const operation of CHANGES) {
    const method = provider[operation]?.bind(provider) as
      | ((request: Partial<KeyRequest>) => Promise<unknown>)
      | undefined;
    if (!method) continue;
    audited[operation] = async (request: Partial<KeyRequest>): Promise<unknown> => {
      try {
        return await method(request);
      } catch (error) {
        await auditFailure(
          log,
          { action: CHANGE_ACTIONS[operation], target: targetOf(request.keyId), audience },
          error,
        );
        throw error;
      }
    };
  }
  return { ...provider, ...(audited as Partial<CryptoProvider>) };
};
