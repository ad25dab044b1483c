import {
  type CallOptions,
  type CryptoProvider,
  isCryptoError,
  type KeyDescription,
  type KeyRequest,
} from "@lango/crypto-core";
import type { Caller } from "./caller.ts";
import { fail, type Scope } from "./errors.ts";
import { MAX_KEY_ID_CHARACTERS } from "./limits.ts";

/** Pages of `listKeys`, of at most 256 keys each. */
const MAX_PAGES = 1024;
/** A key id that stands for the configured one, and so does an empty one. */
const DEFAULT = "default";

/** The key that a request means. */
export type ResolveKey = (scope: Scope & { readonly keyId: string }) => string;

/**
 * Gives `keyId` of the settings for `default` and for an empty name; without a setting `default` is a name like others.
 *
 * @throws `ERR_INVALID_ARGUMENT` for an empty name without a setting, and for more than 512 characters.
 */
export const createResolveKey =
  (configured: string | undefined): ResolveKey =>
  (scope) => {
    const { keyId } = scope;
    if (configured && (keyId === "" || keyId === DEFAULT)) return configured;
    if (keyId !== "" && keyId.length <= MAX_KEY_ID_CHARACTERS) return keyId;
    const message =
      keyId === ""
        ? "The request names no key, and no key is configured"
        : `A key id has at most ${MAX_KEY_ID_CHARACTERS} characters, not ${keyId.length}`;
    throw fail("ERR_INVALID_ARGUMENT", message, { operation: scope.operation });
  };

/** @throws `ERR_INTEGRITY` if the answer is about another key than the one that was named. */
export const checkKeyId = (answered: string, scope: Scope): void => {
  if (answered === scope.keyId) return;
  throw fail("ERR_INTEGRITY", "The companion answered for another key", scope);
};

type Keys = Required<Pick<CryptoProvider, "describeKey" | "listKeys" | "health">>;

/** What can be known of keys without using them. */
export const createKeys = (
  caller: Caller,
  resolveKey: ResolveKey,
  configured: string | undefined,
): Keys => {
  const describeKey = async (request: KeyRequest): Promise<KeyDescription> => {
    const operation = "describeKey";
    const keyId = resolveKey({ operation, keyId: request.keyId });
    const scope = { operation, keyId } as const;
    const { keys } = await caller.call("listKeys", { keyId }, scope, request);
    const [key] = keys;
    if (key === undefined) throw fail("ERR_KEY_NOT_FOUND", `There is no key ${keyId}`, scope);
    checkKeyId(key.keyId, scope);
    return away(key);
  };

  return {
    describeKey,
    async *listKeys(request) {
      const scope: Scope = { operation: "listKeys" };
      const seen = new Set<string | undefined>();
      let cursor: string | undefined;
      do {
        const page = await caller.call("listKeys", { cursor }, scope, request);
        for (const key of page.keys) yield away(key);
        seen.add(cursor);
        cursor = page.cursor;
        if ((seen.has(cursor) && cursor !== undefined) || seen.size > MAX_PAGES) {
          throw fail("ERR_INTEGRITY", "The companion's list of keys has no end", scope);
        }
      } while (cursor !== undefined);
    },
    health: async (request) => {
      const startedAt = performance.now();
      const reason = await whyUnhealthy(caller, describeKey, request, configured);
      const times = { checkedAt: Date.now(), latencyMs: performance.now() - startedAt };
      return reason === undefined
        ? { healthy: true, ...times }
        : { healthy: false, reason, ...times };
    },
  };
};

/** Asks for metadata only: nobody is asked for a yes. */
const whyUnhealthy = async (
  caller: Caller,
  describeKey: Keys["describeKey"],
  request: CallOptions & { readonly keyId?: string | undefined },
  configured: string | undefined,
): Promise<string | undefined> => {
  const keyId = request.keyId ?? configured;
  try {
    if (keyId === undefined) {
      await caller.call("status", {}, { operation: "health" }, request);
      return undefined;
    }
    const { state } = await describeKey({ ...request, keyId });
    return state === "enabled" ? undefined : `Key ${keyId} is ${state}`;
  } catch (error) {
    if (!isCryptoError(error) || error.code === "ERR_CLOSED") throw error;
    return error.message;
  }
};

/** What is software over there is out of reach here. */
const away = (key: KeyDescription): KeyDescription => ({
  ...key,
  protection: key.protection === "hsm" ? "hsm" : "remote",
});
