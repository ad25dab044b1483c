import {
  type CryptoProvider,
  decryptionFailed,
  isCryptoError,
  randomBytesFresh,
  toHex,
  zero,
} from "@lango/crypto-core";
import {
  createDataKey,
  createDataKeyCache,
  type DataKey,
  type DataKeyCache,
  newDataKeyId,
} from "@lango/envelope";
import type { DataKeyRow, KeyRow, Store } from "@lango/store";
import type { RowChange } from "./audit/entry.ts";
import { changeOf } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import { unwrapDataKey, wrapDataKey } from "./data-key-wrap.ts";
import { keyUri } from "./key-registry.ts";
import { checkRow, withMac } from "./rows.ts";

/** A data key with one message reserved on it. */
export interface Sealer {
  /** 24 hex characters. */
  readonly id: string;
  readonly dataKey: DataKey;
}

/** The keys that values are sealed with. */
export interface DataKeys {
  /** The active data key of a key, with room for one message of `bytes` bytes; made when there is none. */
  sealer(key: KeyRow, domain: string, bytes: number): Promise<Sealer>;
  /** Forgets that a data key is active: the store refused it. */
  forget(key: KeyRow, domain: string): void;
  /** The data key of a header. Unknown: `ERR_DECRYPTION_FAILED`. Altered row: `ERR_INTEGRITY`. */
  opener(id: string, bytes: number): Promise<DataKey>;
  close(): void;
}

/** A short command seals one value, a server thousands: reservations begin small and double. */
const FIRST_RESERVATION = 16;
const MAX_RESERVATION = 65_536;
const RESERVED_BYTES_PER_MESSAGE = 4096;

const CACHE_LIMITS = {
  // How long a provider that has gone away, or taken its key back, goes unnoticed.
  maxAgeMs: 15 * 60_000,
  maxEntries: 1024,
  // The counts that limit a data key are reserved in the store; these only bound one copy of it.
  maxMessages: 2 ** 30,
  maxBytes: 2 ** 50,
};

/** An active data key as this process knows it, and what is reserved for this process. */
interface Active {
  readonly id: string;
  messages: number;
  bytes: number;
  nextReservation: number;
  reserving: Promise<void> | undefined;
}

export interface DataKeysOptions {
  readonly context: VaultContext;
  readonly providers: Readonly<Record<string, CryptoProvider>>;
}

export const createDataKeys = ({ context, providers }: DataKeysOptions): DataKeys => {
  const { store, keys } = context;
  const actives = new Map<string, Promise<Active>>();

  const cache: DataKeyCache = createDataKeyCache({
    ...CACHE_LIMITS,
    async load(_partition, id, signal) {
      const row = await store.dataKeys.find(id);
      // One error for everything that does not open: the reason is for the log alone.
      if (!row) throw decryptionFailed("There is no such data key");
      checkRow(keys.rows, "data_keys", row);
      const material = await unwrapDataKey(context, providers, row, signal);
      try {
        return createDataKey(material, Buffer.from(id, "hex"));
      } finally {
        zero(material);
      }
    },
  });
  const opener: DataKeys["opener"] = (id, bytes) => cache.get("data-keys", id, { bytes });

  const activeOf = (key: KeyRow, domain: string, retiredId?: string): Promise<Active> => {
    const name = `${key.id} ${domain}`;
    const known = actives.get(name);
    if (known && retiredId === undefined) return known;
    const found = findOrCreate(context, providers, key, domain, retiredId).then((id) => ({
      id,
      messages: 0,
      bytes: 0,
      nextReservation: FIRST_RESERVATION,
      reserving: undefined,
    }));
    actives.set(name, found);
    found.catch(() => {
      if (actives.get(name) === found) actives.delete(name);
    });
    return found;
  };

  return {
    opener,
    async sealer(key, domain, bytes) {
      let active = await activeOf(key, domain);
      try {
        await take(store, active, bytes);
      } catch (error) {
        if (!isCryptoError(error) || error.code !== "ERR_KEY_RETIRED") throw error;
        // Full or retired by someone else: go on with another, which a second failure does not excuse.
        active = await activeOf(key, domain, active.id);
        await take(store, active, bytes);
      }
      return { id: active.id, dataKey: await opener(active.id, bytes) };
    },
    forget: (key, domain) => void actives.delete(`${key.id} ${domain}`),
    close: () => cache.close(),
  };
};

/** Takes one message from what is reserved; reserves more first when that does not reach. */
const take = async (store: Store, active: Active, bytes: number): Promise<void> => {
  while (active.messages < 1 || active.bytes < bytes) {
    active.reserving ??= reserve(store, active, bytes).finally(() => {
      active.reserving = undefined;
    });
    await active.reserving;
  }
  active.messages -= 1;
  active.bytes -= bytes;
};

const reserve = async (store: Store, active: Active, bytes: number): Promise<void> => {
  const messages = active.nextReservation;
  const reserved = Math.max(bytes, messages * RESERVED_BYTES_PER_MESSAGE);
  // A write that uses it commits later, with FULL, and takes this one to the disk with it.
  await store.transaction("normal", (tx) => tx.dataKeys.reserve(active.id, messages, reserved));
  active.messages += messages;
  active.bytes += reserved;
  active.nextReservation = Math.min(messages * 2, MAX_RESERVATION);
};

/** The id of the active data key, other than `retiredId`; a new one when there is none. */
const findOrCreate = async (
  context: VaultContext,
  providers: DataKeysOptions["providers"],
  key: KeyRow,
  domain: string,
  retiredId: string | undefined,
): Promise<string> => {
  const { store, keys, log } = context;
  const existing = await store.dataKeys.findActive(key.id, domain);
  if (existing && existing.id !== retiredId) {
    checkRow(keys.rows, "data_keys", existing);
    return existing.id;
  }
  // Wrapped before the transaction: a provider may take its time, and everybody waits for a transaction.
  const fresh = await newDataKeyRow(context, providers, key, domain);
  return store.transaction("full", async (tx) => {
    const rows: RowChange[] = [];
    const active = await tx.dataKeys.findActive(key.id, domain);
    if (active) {
      checkRow(keys.rows, "data_keys", active);
      // Another process was faster.
      if (active.id !== retiredId) return active.id;
      const closed = withMac(keys.rows, "data_keys", { ...active, state: "decrypt-only" });
      await tx.dataKeys.update(closed, active.mac);
      rows.push(changeOf("data_keys", closed));
    }
    await tx.dataKeys.insert(fresh);
    rows.push(changeOf("data_keys", fresh));
    await log.appendIn(tx, { action: "data-key.create", target: keyUri(key), rows });
    return fresh.id;
  });
};

export const newDataKeyRow = async (
  context: Pick<VaultContext, "vaultId" | "keys" | "clock">,
  providers: DataKeysOptions["providers"],
  key: KeyRow,
  domain: string,
): Promise<DataKeyRow> => {
  const id = newDataKeyId();
  const material = randomBytesFresh(32);
  try {
    return withMac(context.keys.rows, "data_keys", {
      id: toHex(id),
      keyId: key.id,
      domain,
      ...(await wrapDataKey(context, providers, key, id, material)),
      state: "active",
      degraded: false,
      messages: 0,
      bytes: 0,
      createdAt: context.clock(),
    });
  } finally {
    zero(material);
  }
};
