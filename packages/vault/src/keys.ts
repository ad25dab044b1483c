import {
  CryptoError,
  type CryptoProvider,
  type KeyAlgorithm,
  type KeyUsage,
  randomBytesFresh,
  toHex,
} from "@lango/crypto-core";
import type { KeyRow } from "@lango/store";
import { changeOf } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import { auditFailure } from "./failures.ts";
import type { Gate } from "./gate.ts";
import {
  checkNameIsFree,
  type KeyRegistry,
  keyInfo,
  keyUri,
  LOCAL,
  providerOf,
} from "./key-registry.ts";
import type { CreateKeyOptions, KeyInfo, Keys, KeyType } from "./key-types.ts";
import { checkAudience, checkKeyName } from "./names.ts";
import { findRemoteKey } from "./remote-key.ts";
import { publicKeyAt, rotateKey } from "./rotate-key.ts";
import { withMac } from "./rows.ts";

export interface KeysOptions {
  readonly context: VaultContext;
  readonly registry: KeyRegistry;
  /** The local keys, audited. */
  readonly local: CryptoProvider;
  /** The same, in whose log an agent is at work. */
  readonly localForAgents: CryptoProvider;
  readonly providers: Readonly<Record<string, CryptoProvider>>;
  readonly gate: Gate;
}

export const createKeys = ({
  context,
  registry,
  local,
  localForAgents,
  providers,
  gate,
}: KeysOptions): Keys => ({
  create: (options) =>
    gate.run(async () => {
      checkKeyName(options.name);
      const type = checkType(options.type);
      return options.uri === undefined
        ? createLocal(registry, local, options, type)
        : registerAudited(context, providers, options, options.uri, type);
    }),
  list: () =>
    gate.run(async () => {
      await context.counters.flush();
      return (await registry.list()).map(keyInfo);
    }),
  describe: (nameOrUri) => gate.run(async () => keyInfo(await registry.find(nameOrUri))),
  publicKey: (nameOrUri) =>
    gate.run(async () => {
      const row = await registry.find(nameOrUri);
      if (row.publicKey !== null) {
        return { spki: row.publicKey, algorithm: row.algorithm as KeyAlgorithm };
      }
      const keyId = keyUri(row);
      const message = `Key ${keyId} has no public key: it is ${row.algorithm}`;
      throw new CryptoError("ERR_KEY_USAGE", message, { context: { keyId } });
    }),
  rotate: (nameOrUri) =>
    gate.run(() => rotateKey({ context, registry, local, providers }, nameOrUri)),
  provider: ({ audience } = {}) => {
    gate.check();
    checkAudience(audience);
    return audience === "agent" ? localForAgents : local;
  },
});

const checkType = (type: unknown): KeyType => {
  if (type === "encryption" || type === "signing") return type;
  throw new CryptoError("ERR_INVALID_ARGUMENT", "The type of a key is encryption or signing");
};

const DEFAULT_ALGORITHMS: Readonly<Record<KeyType, KeyAlgorithm>> = {
  encryption: "aes-256-gcm",
  signing: "hmac-sha256",
};

const usageOf = (algorithm: KeyAlgorithm): KeyUsage => {
  if (algorithm === "aes-256-gcm") return "encryption";
  return algorithm.startsWith("hmac-") ? "mac" : "signing";
};

/** People say `signing` for MAC keys too, as the seed's registry did. */
const typeOf = (usage: KeyUsage): KeyType => (usage === "encryption" ? "encryption" : "signing");

const createLocal = async (
  registry: KeyRegistry,
  local: CryptoProvider,
  { name, algorithm: wanted }: CreateKeyOptions,
  type: KeyType,
): Promise<KeyInfo> => {
  const algorithm = wanted ?? DEFAULT_ALGORITHMS[type];
  if (!local.createKey || !local.capabilities.keyAlgorithms.includes(algorithm)) {
    throw new CryptoError("ERR_UNSUPPORTED", "There are no local keys of that algorithm");
  }
  const usage = usageOf(algorithm);
  checkTypeFits(type, usage, algorithm);
  await local.createKey({ keyId: name, algorithm, usage });
  return keyInfo(await registry.find(`${LOCAL}:${name}`));
};

const registerAudited: typeof register = async (context, providers, options, uri, type) => {
  try {
    return await register(context, providers, options, uri, type);
  } catch (error) {
    await auditFailure(context.log, { action: "key.register", target: options.name }, error);
    throw error;
  }
};

/** Registers a key that a provider holds. Only a configured provider is asked, and nothing is created there. */
const register = async (
  { store, keys, log, clock }: VaultContext,
  providers: KeysOptions["providers"],
  { name }: CreateKeyOptions,
  uri: string,
  type: KeyType,
): Promise<KeyInfo> => {
  const { columns, described } = await findRemoteKey(providers, uri);
  checkTypeFits(type, described.usage, described.algorithm);
  const provider = providerOf(columns.provider, providers);
  const publicKey = await publicKeyAt(provider, described.keyId, described.usage);
  const row: KeyRow = withMac(keys.rows, "keys", {
    id: toHex(randomBytesFresh(12)),
    name,
    type,
    ...columns,
    publicKey,
    state: "enabled",
    createdAt: clock(),
    lastUsedAt: null,
  });
  await store.transaction("full", async (tx) => {
    await checkNameIsFree(tx, name);
    const same = (await tx.keys.list()).find((each) => keyUri(each) === keyUri(row));
    if (same) {
      throw new CryptoError(
        "ERR_CONFLICT",
        `Key ${keyUri(row)} is registered as ${same.name} already`,
      );
    }
    await tx.keys.insert(row);
    await log.appendIn(tx, {
      action: "key.register",
      target: keyUri(row),
      rows: [changeOf("keys", row)],
    });
  });
  return keyInfo(row);
};

const checkTypeFits = (type: KeyType, usage: KeyUsage, algorithm: KeyAlgorithm): void => {
  if (typeOf(usage) === type) return;
  const message = `A key of ${algorithm} is for ${typeOf(usage)}, not for ${type}`;
  throw new CryptoError("ERR_INVALID_ARGUMENT", message);
};
