import { bytesEqual, CryptoError, decryptionFailed, isUnavailable, zero } from "@lango/crypto-core";
import {
  createDataKey,
  createDataKeyCache,
  type DataKey,
  type DataKeyCache,
} from "@lango/envelope";
import type { DataKeyRow, KeyRow } from "@lango/store";
import { type ActiveDataKeysOptions, createActiveDataKeys, type Need } from "./active-data-keys.ts";
import { isWrappedFor, strangeWrapper, unwrapDataKey, VAULT_WRAP } from "./data-key-wrap.ts";
import { LOCAL } from "./key-registry.ts";
import { checkRow } from "./rows.ts";

/** A data key with one message reserved on it. */
export interface Sealer {
  /** 24 hex characters. */
  readonly id: string;
  readonly dataKey: DataKey;
  /** Set when the fallback gave it. */
  readonly degraded?: true;
}

/** The keys that values are sealed with. */
export interface DataKeys {
  /** The active data key of a key, with room for one message of `bytes` bytes; made when there is none. */
  sealer(key: KeyRow, domain: string, bytes: number): Promise<Sealer>;
  /** The same with room for many messages, and never by the fallback. */
  sealerOfMany(key: KeyRow, domain: string, need: Need): Promise<Sealer>;
  /** Forgets that a data key is active: the store refused it. */
  forget(key: KeyRow, domain: string): void;
  /**
   * The data key of a header. Unknown: `ERR_DECRYPTION_FAILED`. Altered row: `ERR_INTEGRITY`. Destroyed: `ERR_KEY_RETIRED`; what it
   * sealed was sealed again, or is gone.
   */
  opener(id: string, bytes: number): Promise<DataKey>;
  close(): void;
}

const CACHE_LIMITS = {
  // How long a provider that has gone away, or taken its key back, goes unnoticed; and how long sealing goes on without it.
  maxAgeMs: 15 * 60_000,
  maxEntries: 1024,
  // The counts that limit a data key are reserved in the store; these only bound one copy of it.
  maxMessages: 2 ** 30,
  maxBytes: 2 ** 50,
};

export interface DataKeysOptions extends ActiveDataKeysOptions {
  /** Whether new values go under the vault key while the provider of this scheme cannot be reached. */
  readonly fallsBack: (scheme: string) => boolean;
}

export const createDataKeys = (options: DataKeysOptions): DataKeys => {
  const { context, providers, recovery, fallsBack } = options;
  const actives = createActiveDataKeys(options);

  const cache: DataKeyCache = createDataKeyCache({
    ...CACHE_LIMITS,
    async load(_partition, id, signal) {
      const { row, scheme } = await openable(options, id);
      const unwrapping = unwrapDataKey(context, providers, row, signal);
      const material = await (scheme === LOCAL ? unwrapping : recovery.watch(scheme, unwrapping));
      try {
        return createDataKey(material, Buffer.from(id, "hex"));
      } finally {
        zero(material);
      }
    },
  });
  const opener: DataKeys["opener"] = (id, bytes) => cache.get("data-keys", id, { bytes });

  const take = async (
    key: KeyRow,
    domain: string,
    need: Need,
    unavailable?: CryptoError,
  ): Promise<Sealer> => {
    const id = await actives.take(key, domain, need, unavailable);
    return { id, dataKey: await opener(id, need.bytes) };
  };

  return {
    opener,
    async sealer(key, domain, bytes) {
      const need = { messages: 1, bytes };
      if (key.provider === LOCAL) return take(key, domain, need);
      try {
        const sealer = await take(key, domain, need);
        actives.forgetFallback(key, domain);
        return sealer;
      } catch (error) {
        if (!isUnavailable(error) || !fallsBack(key.provider)) throw error;
        const sealer = await take(key, domain, need, error);
        recovery.fellBack(key.provider);
        return { ...sealer, degraded: true };
      }
    },
    sealerOfMany: (key, domain, need) => take(key, domain, need),
    forget: actives.forget,
    close: () => cache.close(),
  };
};

/** The row of a data key, and the scheme of whoever opens it: the vault key, or its own key of the registry. */
const openable = async (
  { context: { store, keys }, registry }: ActiveDataKeysOptions,
  id: string,
): Promise<{ readonly row: DataKeyRow; readonly scheme: string }> => {
  for (let before: DataKeyRow | undefined; ; ) {
    const row = await store.dataKeys.find(id);
    // One error for everything that does not open: the reason is for the log alone.
    if (!row) throw decryptionFailed("There is no such data key");
    checkRow(keys.rows, "data_keys", row);
    if (row.state === "retired") {
      throw new CryptoError("ERR_KEY_RETIRED", `Data key ${id} was destroyed`);
    }
    if (row.wrapUri === VAULT_WRAP) return { row, scheme: LOCAL };
    const key = await registry.findById(row.keyId);
    if (isWrappedFor(key, row)) return { row, scheme: key.provider };
    // A migration may have come between the two reads; then the row is another one now.
    if (before && bytesEqual(before.mac, row.mac)) throw strangeWrapper(row);
    before = row;
  }
};
