import {
  bytesEqual,
  CryptoError,
  isCryptoError,
  randomBytesFresh,
  toHex,
  zero,
} from "@lango/crypto-core";
import { newDataKeyId } from "@lango/envelope";
import type { DataKeyRow, KeyRow, Store } from "@lango/store";
import type { RowChange } from "./audit/entry.ts";
import type { NewEntry } from "./audit/log.ts";
import { changeOf } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import { type ProvidersByScheme, VAULT_WRAP, wrapByVault, wrapDataKey } from "./data-key-wrap.ts";
import { checkSeals, type KeyRegistry, keyUri, LOCAL } from "./key-registry.ts";
import { fallbackDomain } from "./names.ts";
import type { Recovery } from "./recovery.ts";
import { checkRow, withMac } from "./rows.ts";
import { reached } from "./stages.ts";

/** What is to be sealed. */
export interface Need {
  readonly messages: number;
  /** Of all of them. */
  readonly bytes: number;
}

/** The data keys that take new values, and what is reserved on them for this process. */
export interface ActiveDataKeys {
  /**
   * Reserves messages, of `bytes` bytes in all, on the active data key of a key; one is made when there is none.
   *
   * @param unavailable - Why the provider is not asked: then it is the degraded data key, which the vault key wraps.
   * @returns The id of the data key.
   */
  take(key: KeyRow, domain: string, need: Need, unavailable?: CryptoError): Promise<string>;
  forget(key: KeyRow, domain: string): void;
  /** Forgets the degraded data key: the provider answers again. */
  forgetFallback(key: KeyRow, domain: string): void;
}

export interface ActiveDataKeysOptions {
  readonly context: VaultContext;
  readonly registry: KeyRegistry;
  readonly providers: ProvidersByScheme;
  readonly recovery: Recovery;
}

/** A short command seals one value, a server thousands: reservations begin small and double. */
const FIRST_RESERVATION = 16;
const MAX_RESERVATION = 65_536;
const RESERVED_BYTES_PER_MESSAGE = 4096;

/** An active data key as this process knows it, and what is reserved for this process. */
interface Active {
  readonly id: string;
  messages: number;
  bytes: number;
  nextReservation: number;
  reserving: Promise<void> | undefined;
}

/** Where an active data key belongs. */
interface Place {
  readonly key: KeyRow;
  /** The fallback has a domain of its own, so that the data key of the provider stays active for whoever has it warm. */
  readonly domain: string;
  readonly unavailable: CryptoError | undefined;
}

export const createActiveDataKeys = (options: ActiveDataKeysOptions): ActiveDataKeys => {
  const { store } = options.context;
  const actives = new Map<string, Promise<Active>>();
  const nameOf = (key: KeyRow, domain: string): string => `${key.id} ${domain}`;

  const activeOf = (place: Place, retiredId?: string): Promise<Active> => {
    const name = nameOf(place.key, place.domain);
    const known = actives.get(name);
    if (known && retiredId === undefined) return known;
    const found = findOrCreate(options, place, retiredId).then((id) => ({
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
    async take(key, domain, need, unavailable) {
      const place = {
        key,
        domain: unavailable === undefined ? domain : fallbackDomain(domain),
        unavailable,
      };
      let active = await activeOf(place);
      try {
        await takeFrom(store, active, need);
      } catch (error) {
        if (!isCryptoError(error) || error.code !== "ERR_KEY_RETIRED") throw error;
        // Full or retired by someone else: go on with another, which a second failure does not excuse.
        active = await activeOf(place, active.id);
        await takeFrom(store, active, need);
      }
      return active.id;
    },
    forget(key, domain) {
      actives.delete(nameOf(key, domain));
      actives.delete(nameOf(key, fallbackDomain(domain)));
    },
    forgetFallback: (key, domain) => void actives.delete(nameOf(key, fallbackDomain(domain))),
  };
};

/** Takes messages from what is reserved; reserves more first when that does not reach. */
const takeFrom = async (store: Store, active: Active, need: Need): Promise<void> => {
  while (active.messages < need.messages || active.bytes < need.bytes) {
    active.reserving ??= reserve(store, active, need).finally(() => {
      active.reserving = undefined;
    });
    await active.reserving;
  }
  active.messages -= need.messages;
  active.bytes -= need.bytes;
};

const reserve = async (store: Store, active: Active, need: Need): Promise<void> => {
  const messages = Math.max(need.messages, active.nextReservation);
  const bytes = Math.max(need.bytes, messages * RESERVED_BYTES_PER_MESSAGE);
  // A write that uses it commits later, with FULL, and takes this one to the disk with it.
  await store.transaction("normal", (tx) => tx.dataKeys.reserve(active.id, messages, bytes));
  active.messages += messages;
  active.bytes += bytes;
  active.nextReservation = Math.min(messages * 2, MAX_RESERVATION);
};

/** The id of the active data key, other than `retiredId`; a new one when there is none. */
const findOrCreate = async (
  options: ActiveDataKeysOptions,
  { key, domain, unavailable }: Place,
  retiredId: string | undefined,
): Promise<string> => {
  const { context, registry } = options;
  const { store, keys, log } = context;
  for (let current = key; ; ) {
    const place = { key: current, domain, unavailable };
    const existing = await store.dataKeys.findActive(key.id, domain);
    if (!existing || existing.id === retiredId) {
      const id = await create(options, place, retiredId);
      if (id !== undefined) return id;
    } else {
      checkRow(keys.rows, "data_keys", existing);
      if (isWrappedAsItShould(place, existing)) {
        if (unavailable) await log.commit("normal", fallbackEntry(place, unavailable, existing.id));
        return existing.id;
      }
    }
    // The key was put under another provider meanwhile. If not, an old row was brought back: a way to weaken what is sealed.
    const now = await registry.findById(key.id);
    if (bytesEqual(now.mac, current.mac)) throw wrongWrapper(current);
    checkSeals(now);
    current = now;
  }
};

const isWrappedAsItShould = ({ key, unavailable }: Place, row: DataKeyRow): boolean => {
  const byVault = unavailable !== undefined || key.provider === LOCAL;
  const degraded = unavailable !== undefined;
  return row.degraded === degraded && row.wrapUri === (byVault ? VAULT_WRAP : keyUri(key));
};

const wrongWrapper = (key: KeyRow): CryptoError =>
  new CryptoError("ERR_INTEGRITY", `The data key of ${keyUri(key)} is not wrapped by it`, {
    context: { hint: "Compare the database with the log: lango audit verify --rows" },
  });

/** `undefined` when the row of the key has changed, and with it what shall wrap. */
const create = async (
  { context, providers, recovery }: ActiveDataKeysOptions,
  place: Place,
  retiredId: string | undefined,
): Promise<string | undefined> => {
  const { store, keys, log } = context;
  const { key, domain, unavailable } = place;
  // Wrapped before the transaction: a provider may take its time, and everybody waits for a transaction.
  const making = newDataKeyRow(context, providers, place);
  const fresh = await (unavailable || key.provider === LOCAL
    ? making
    : recovery.watch(key.provider, making));
  const id = await store.transaction("full", async (tx) => {
    const current = await tx.keys.find(key.id);
    if (!current || !bytesEqual(current.mac, key.mac)) return undefined;
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
    const entry = unavailable
      ? fallbackEntry(place, unavailable, fresh.id)
      : { action: "data-key.create", target: keyUri(key) };
    await log.appendIn(tx, { ...entry, rows });
    return fresh.id;
  });
  if (unavailable) reached("fallback:created");
  return id;
};

/** Once for each process that begins to seal without the provider. */
const fallbackEntry = ({ key }: Place, { code }: CryptoError, id: string): NewEntry => ({
  action: "provider.fallback",
  target: keyUri(key),
  code,
  detail: `to ${VAULT_WRAP}, data key ${id}`,
});

/** A new data key: wrapped by its key, or by the vault key, and then degraded, when the provider cannot be reached. */
export const newDataKeyRow = async (
  context: Pick<VaultContext, "vaultId" | "keys" | "clock">,
  providers: ProvidersByScheme,
  { key, domain, unavailable }: Place,
): Promise<DataKeyRow> => {
  const id = toHex(newDataKeyId());
  const material = randomBytesFresh(32);
  try {
    const wrapped = unavailable
      ? wrapByVault(context, { id, material })
      : await wrapDataKey(context, providers, key, { id, material });
    return withMac(context.keys.rows, "data_keys", {
      ...{ id, keyId: key.id, domain, ...wrapped },
      state: "active",
      degraded: unavailable !== undefined,
      messages: 0,
      bytes: 0,
      createdAt: context.clock(),
    });
  } finally {
    zero(material);
  }
};
