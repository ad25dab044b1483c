import {
  CryptoError,
  type CryptoProvider,
  formatKeyUri,
  type KeyAlgorithm,
  parseKeyUri,
} from "@lango/crypto-core";
import type { KeyRow, StoreReads } from "@lango/store";
import type { VaultContext } from "./context.ts";
import type { KeyInfo } from "./key-types.ts";
import { checkKeyName } from "./names.ts";
import { checkRow } from "./rows.ts";

/** The provider whose keys the vault itself holds. */
export const LOCAL = "local";

/** Finds rows of the key registry; every row it returns has passed its MAC. */
export interface KeyRegistry {
  /** @throws {@link CryptoError} `ERR_KEY_NOT_FOUND`, `ERR_INTEGRITY`. */
  find(nameOrUri: string): Promise<KeyRow>;
  /** A local key. */
  findLocal(name: string): Promise<KeyRow | undefined>;
  /** A key of any provider. */
  findNamed(name: string): Promise<KeyRow | undefined>;
  findById(id: string): Promise<KeyRow>;
  list(): Promise<KeyRow[]>;
}

export const createKeyRegistry = ({
  store,
  keys,
}: Pick<VaultContext, "store" | "keys">): KeyRegistry => {
  const checked = (row: KeyRow): KeyRow => {
    checkRow(keys.rows, "keys", row);
    return row;
  };

  const list = async (): Promise<KeyRow[]> => (await store.keys.list()).map(checked);

  const findByUri = async (uri: string): Promise<KeyRow | undefined> => {
    const { scheme, keyId } = parseKeyUri(uri);
    if (scheme === LOCAL) {
      checkKeyName(keyId);
      return findLocal(keyId);
    }
    return (await list()).find((row) => row.provider === scheme && row.remoteKeyId === keyId);
  };

  const findNamed = async (name: string): Promise<KeyRow | undefined> => {
    const row = await store.keys.findByName(name);
    return row && checked(row);
  };

  const findLocal: KeyRegistry["findLocal"] = async (name) => {
    const row = await findNamed(name);
    return row?.provider === LOCAL ? row : undefined;
  };

  return {
    list,
    findLocal,
    findNamed,
    async find(nameOrUri) {
      const isUri = typeof nameOrUri === "string" && nameOrUri.includes(":");
      if (!isUri) checkKeyName(nameOrUri);
      const row = await (isUri ? findByUri(nameOrUri) : findNamed(nameOrUri));
      return row ?? notFound(nameOrUri);
    },
    async findById(id) {
      const row = await store.keys.find(id);
      return row ? checked(row) : notFound(id);
    },
  };
};

const notFound = (keyId: string): never => {
  throw new CryptoError("ERR_KEY_NOT_FOUND", `There is no key ${keyId} in the vault`, {
    context: { keyId, hint: "lango keys list shows the keys that there are" },
  });
};

/** @throws {@link CryptoError} `ERR_CONFLICT`. */
export const checkNameIsFree = async (
  { keys }: Pick<StoreReads, "keys">,
  name: string,
): Promise<void> => {
  if (!(await keys.findByName(name))) return;
  throw new CryptoError("ERR_CONFLICT", `There is a key ${name} already`);
};

export const keyUri = (row: Pick<KeyRow, "name" | "provider" | "remoteKeyId">): string =>
  formatKeyUri(row.provider, row.remoteKeyId ?? row.name);

export const keyInfo = (row: KeyRow): KeyInfo => ({
  id: row.id,
  name: row.name,
  uri: keyUri(row),
  type: row.type,
  algorithm: row.algorithm as KeyAlgorithm,
  provider: row.provider,
  keyVersion: row.keyVersion,
  state: row.state === "enabled" ? "enabled" : "disabled",
  createdAt: row.createdAt,
  ...(row.lastUsedAt === null ? {} : { lastUsedAt: row.lastUsedAt }),
});

/** @throws {@link CryptoError} `ERR_KEY_USAGE`, `ERR_KEY_DISABLED`: a key that shall seal nothing new. */
export const checkSeals = (row: KeyRow): void => {
  const keyId = keyUri(row);
  if (row.type !== "encryption") {
    const message = `Key ${keyId} is for ${row.type}, not for encryption`;
    throw new CryptoError("ERR_KEY_USAGE", message, { context: { keyId } });
  }
  if (row.state !== "enabled") {
    throw new CryptoError("ERR_KEY_DISABLED", `Key ${keyId} is disabled`, { context: { keyId } });
  }
};

/** The provider of a key, among those that are configured. */
export const providerOf = (
  scheme: string,
  providers: Readonly<Record<string, CryptoProvider>>,
): CryptoProvider => {
  const provider = Object.hasOwn(providers, scheme) ? providers[scheme] : undefined;
  if (provider) return provider;
  throw new CryptoError("ERR_KEY_NOT_FOUND", `No provider ${scheme} is configured`, {
    context: { provider: scheme, hint: "Set security.signer.provider and its settings" },
  });
};
