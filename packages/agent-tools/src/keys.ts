import {
  type CryptoClient,
  CryptoError,
  createCryptoClient,
  parseKeyUri,
} from "@lango/crypto-core";
import type { KeyInfo, KeyType } from "@lango/vault";
import type { ToolVault } from "./vault.ts";

/** Where a key is, for whoever uses it. */
export interface KeyUse {
  readonly client: CryptoClient;
  /** The client's own name of the key. */
  readonly keyId: string;
}

/** Leads from the URI of a key of the registry to what works with it. */
export type FindClient = (uri: string) => KeyUse;

export interface AgentKeysOptions {
  readonly vault: Pick<ToolVault, "keys" | "status">;
  readonly crypto?: FindClient | undefined;
  readonly reserved?: readonly string[] | undefined;
}

/** The keys that agents may use. Others are, to them, not there. */
export interface AgentKeys {
  list(): Promise<KeyInfo[]>;
  /**
   * @param keyId - Name or URI of a key of the registry. Default: the key `default`.
   * @throws {@link CryptoError} `ERR_KEY_NOT_FOUND`; `ERR_KEY_USAGE` for a key of another type.
   */
  find(keyId: string | undefined, type: KeyType): Promise<KeyInfo & KeyUse>;
  /** What works with a key that is found by its URI; `undefined` for one that is not there. */
  resolve(uri: string): Promise<KeyUse | undefined>;
}

const DEFAULT_KEY = "default";
/** Keys of the wallet and of Lango itself, as with names of secrets; names of keys have no slash. */
const RESERVED = /^(wallet|system)([._-]|$)/;

export const createAgentKeys = ({ vault, crypto, reserved = [] }: AgentKeysOptions): AgentKeys => {
  const clientOf = crypto ?? localOnly(vault);

  const list = async (): Promise<KeyInfo[]> => {
    const [keys, status] = await Promise.all([vault.keys.list(), vault.status()]);
    // An agent that signs with the key of the anchors could write a log of its own; one that decrypts with the key of a
    // slot could open the vault.
    const own = new Set([
      ...reserved,
      ...(status.anchors === undefined ? [] : [status.anchors.key]),
      ...status.slots.flatMap(({ uri }) => (uri === undefined ? [] : [uri])),
    ]);
    return keys.filter(
      ({ name, uri }) =>
        !RESERVED.test(name) && !own.has(name) && !own.has(uri) && !own.has(`local:${name}`),
    );
  };

  return {
    list,
    async find(keyId = DEFAULT_KEY, type) {
      const key = (await list()).find(({ name, uri }) => name === keyId || uri === keyId);
      // Not repeated: a value may have been written where a name belongs.
      if (key === undefined) {
        throw new CryptoError("ERR_KEY_NOT_FOUND", "There is no such key", {
          context: { hint: "The tool crypto.keys lists the keys" },
        });
      }
      if (key.type !== type) {
        throw new CryptoError(
          "ERR_KEY_USAGE",
          `Key ${key.name} is for ${key.type}, not for ${type}`,
          {
            context: { hint: `The tool crypto.keys lists the keys; name one for ${type} as keyId` },
          },
        );
      }
      return { ...key, ...clientOf(key.uri) };
    },
    async resolve(uri) {
      // A key that was put under a provider still opens what it sealed while it was local.
      const key = (await list()).find((each) => each.uri === uri || `local:${each.name}` === uri);
      return key && clientOf(uri);
    },
  };
};

const localOnly =
  (vault: Pick<ToolVault, "keys">): FindClient =>
  (uri) => {
    const { scheme, keyId } = parseKeyUri(uri);
    if (scheme !== "local") {
      throw new CryptoError("ERR_KEY_NOT_FOUND", `No provider ${scheme} is configured`);
    }
    return {
      client: createCryptoClient({ provider: vault.keys.provider({ audience: "agent" }) }),
      keyId,
    };
  };
