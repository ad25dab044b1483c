import { randomUUID } from "node:crypto";
import {
  type CreateKeyRequest,
  type CryptoProvider,
  isCryptoError,
  type KeyDescription,
} from "@lango/crypto-core";
import { type AzureKeyAlgorithm, KEY_ALGORITHMS, KEY_OPERATIONS } from "./algorithms.ts";
import type { Call, Caller } from "./caller.ts";
import type { AzureKeyProperties } from "./client.ts";
import { formatKeyId } from "./key-id.ts";
import { describe, fail, keyVersionOf } from "./keys.ts";

type Management = Required<
  Pick<CryptoProvider, "createKey" | "rotateKey" | "describeKey" | "listKeys" | "health">
>;

export interface ManagementOptions {
  readonly hsmKeys: boolean;
  /** The key that `health` reads when it is told none. */
  readonly probe: string | undefined;
}

/** Making, listing and describing keys; health. */
export function createKeyManagement(
  caller: Caller,
  { hsmKeys, probe }: ManagementOptions,
): Management {
  const { vault, run, parse } = caller;

  const describeOf = async (call: Call, keyId: string): Promise<KeyDescription> => {
    const ref = parse(keyId);
    const key = await call.read(ref);
    call.keep(ref, key);
    return describe(key);
  };

  return {
    createKey: (request) =>
      run("createKey", request, async (call) => {
        const { name, version } = parse(request.keyId ?? `lango-${randomUUID()}`);
        const { keySize, curve, keyType, keyOps } = newKeyOf(request);
        const keyId = formatKeyId(vault, name);
        if (version !== undefined) {
          throw fail(
            "ERR_INVALID_ARGUMENT",
            "a new key gets its version from the service",
            "createKey",
            keyId,
          );
        }
        // To create a key that is there makes a new version of it, and no error.
        if (await exists(call, name)) {
          throw fail(
            "ERR_CONFLICT",
            "the name is taken",
            "createKey",
            keyId,
            "rotateKey makes a new version",
          );
        }
        const key = await call.keys(
          (keys, options) =>
            keys.createKey(name, hsmKeys ? `${keyType}-HSM` : keyType, {
              ...options,
              ...(keySize !== undefined && { keySize }),
              ...(curve !== undefined && { curve }),
              keyOps,
            }),
          keyId,
        );
        const made = keyVersionOf(vault, "createKey", { name, version }, key);
        call.keep({ name, version }, made);
        return describe(made);
      }),

    rotateKey: (request) =>
      run("rotateKey", request, async (call) => {
        const { name, version } = parse(request.keyId);
        if (version !== undefined) {
          const message = "a version cannot be rotated, only its key";
          throw fail("ERR_INVALID_ARGUMENT", message, "rotateKey", formatKeyId(vault, name));
        }
        const key = await call.keys(
          (keys, options) => keys.rotateKey(name, options),
          formatKeyId(vault, name),
        );
        const made = keyVersionOf(vault, "rotateKey", { name, version }, key);
        call.keep({ name, version }, made);
        return describe(made);
      }),

    describeKey: (request) =>
      run("describeKey", request, (call) => describeOf(call, request.keyId)),

    async *listKeys(request) {
      // Each step is a call of its own, so that an abort ends it at once and `close` is seen.
      const step = <T>(body: (call: Call) => Promise<T>): Promise<T> =>
        run("listKeys", request, body);
      let names: AsyncIterator<AzureKeyProperties> | undefined;
      let next = await step((call) =>
        call.keys((keys, options) => {
          names = keys.listPropertiesOfKeys(options)[Symbol.asyncIterator]();
          return names.next();
        }),
      );
      while (!next.done) {
        const { name } = next.value;
        const listed = await step((call) => describeListed(call, name));
        if (listed !== undefined) yield listed;
        // Not once more after a failure: an iterator that has failed says that it has come to its end.
        next = await step((call) => call.once(() => names!.next()));
      }
    },

    health: (request) =>
      run("health", request, async (call) => {
        const startedAt = performance.now();
        const reason = await whyUnhealthy(call, request.keyId ?? probe);
        const times = { checkedAt: Date.now(), latencyMs: performance.now() - startedAt };
        return reason === undefined
          ? { healthy: true, ...times }
          : { healthy: false, reason, ...times };
      }),
  };

  async function describeListed(call: Call, name: string): Promise<KeyDescription | undefined> {
    try {
      return await describeOf(call, name);
    } catch (error) {
      // Deleted since, or a key that this provider has no use for.
      if (isCryptoError(error) && ["ERR_KEY_NOT_FOUND", "ERR_UNSUPPORTED"].includes(error.code)) {
        return undefined;
      }
      throw error;
    }
  }

  async function exists(call: Call, name: string): Promise<boolean> {
    try {
      await call.keys((keys, options) => keys.getKey(name, options), formatKeyId(vault, name));
      return true;
    } catch (error) {
      if (isCryptoError(error) && error.code === "ERR_KEY_NOT_FOUND") return false;
      throw error;
    }
  }

  async function whyUnhealthy(call: Call, keyId: string | undefined): Promise<string | undefined> {
    try {
      if (keyId === undefined) {
        await call.keys(async (keys, options) => {
          for await (const _ of keys.listPropertiesOfKeys(options)) return;
        });
        return undefined;
      }
      const { state } = await describeOf(call, keyId);
      return state === "enabled" ? undefined : `The key is ${state}`;
    } catch (error) {
      if (isCryptoError(error)) return error.message;
      throw error;
    }
  }
}

function newKeyOf({ algorithm, usage }: CreateKeyRequest): {
  keyType: string;
  keySize: number | undefined;
  curve: string | undefined;
  keyOps: string[];
} {
  if (!Object.hasOwn(KEY_ALGORITHMS, algorithm)) {
    throw fail("ERR_UNSUPPORTED", `keys of ${algorithm} are not offered`, "createKey");
  }
  const { keyType, keySize, curve } = KEY_ALGORITHMS[algorithm as AzureKeyAlgorithm];
  const keyOps = KEY_OPERATIONS[usage];
  if (keyOps === undefined || (keyType === "EC" && usage !== "signing")) {
    const message = `keys of ${algorithm} are not for ${usage}`;
    throw fail("ERR_INVALID_ARGUMENT", message, "createKey");
  }
  return { keyType, keySize, curve, keyOps: [...keyOps] };
}
