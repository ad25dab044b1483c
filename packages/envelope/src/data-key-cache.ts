import { CryptoError } from "@lango/crypto-core";
import type { DataKey } from "./data-key.ts";

export interface DataKeyCacheOptions {
  /** Milliseconds that a key may be used after it was loaded. One that lies idle is destroyed within twice that. */
  readonly maxAgeMs: number;
  /** Uses of one loaded key. */
  readonly maxMessages: number;
  /** Bytes sealed or opened with one loaded key. */
  readonly maxBytes: number;
  /** Keys held at once; the least recently used goes first. */
  readonly maxEntries: number;
  /**
   * Fetches a key, e.g. from a KMS. The key then belongs to the cache, which destroys it.
   *
   * @param signal - Aborts when nobody waits any more, or when the cache is closed.
   */
  readonly load: (partition: string, id: string, signal: AbortSignal) => Promise<DataKey>;
  /** Milliseconds on a clock that does not jump. Default: `performance.now`. */
  readonly clock?: () => number;
}

export interface DataKeyUse {
  /** Ends this caller's wait; the load goes on for the others. */
  readonly signal?: AbortSignal | undefined;
  /** Bytes that will be sealed or opened, counted against `maxBytes`. Default 0. */
  readonly bytes?: number | undefined;
}

export interface DataKeyCache {
  /**
   * A key, for one message, at once: use it before the next `await`. It may be evicted at any time, and an evicted key
   * is destroyed as soon as the callers it was just given to have had their turn.
   *
   * @param partition - Keys of one partition are never given out for another, whatever their id.
   * @throws {@link CryptoError} What `load` throws; `ERR_CLOSED` after `close`; `ERR_INVALID_ARGUMENT` for more bytes
   *   than `maxBytes`. Rejects with `signal.reason` when aborted.
   */
  get(partition: string, id: string, use?: DataKeyUse): Promise<DataKey>;
  /** Destroys every key; waiting and later calls reject with `ERR_CLOSED`. Idempotent. */
  close(): void;
}

/** Node takes no longer timers. */
const MAX_TIMER_MS = 2 ** 31 - 1;

interface Entry {
  readonly key: DataKey;
  readonly loadedAt: number;
  messages: number;
  bytes: number;
}

/** One load that many callers wait for. */
interface Flight extends PromiseWithResolvers<Entry> {
  readonly controller: AbortController;
  waiting: number;
}

/**
 * Holds data keys so that a thousand values cost one call to the service that wraps their key.
 *
 * Calls for one key while it is being loaded share that load. Errors are not kept: the next call loads again.
 */
export const createDataKeyCache = (options: DataKeyCacheOptions): DataKeyCache => {
  const { maxAgeMs, maxMessages, maxBytes, maxEntries, load } = options;
  const clock = options.clock ?? (() => performance.now());
  for (const [name, limit] of Object.entries({ maxAgeMs, maxMessages, maxBytes, maxEntries })) {
    if (!(limit > 0)) {
      throw new CryptoError("ERR_INVALID_ARGUMENT", `${name} is ${limit}; it must be more than 0`);
    }
  }
  // In the order of use: a Map iterates as its keys were set.
  const entries = new Map<string, Entry>();
  const flights = new Map<string, Flight>();
  let sweep: NodeJS.Timeout | undefined;
  let closed = false;

  const isFresh = (entry: Entry): boolean => clock() - entry.loadedAt < maxAgeMs;

  /** Counts one use, unless that would pass a limit. */
  const take = (entry: Entry, bytes: number): boolean => {
    if (!isFresh(entry) || entry.messages >= maxMessages || entry.bytes + bytes > maxBytes) {
      return false;
    }
    entry.messages += 1;
    entry.bytes += bytes;
    return true;
  };

  const evict = (name: string, entry: Entry): void => {
    if (entries.get(name) === entry) entries.delete(name);
    // A caller may have been given the key in this very turn of the event loop, with its continuation still queued.
    // Sealing and opening are synchronous, so after that continuation nobody needs it.
    setImmediate(() => entry.key.destroy());
  };

  const evictAged = (): void => {
    for (const [name, entry] of entries) if (!isFresh(entry)) evict(name, entry);
  };

  /** A key that nobody asks for any more shall not outlive its age by more than as much again. */
  const sweepLater = (): void => {
    sweep ??= setTimeout(
      () => {
        sweep = undefined;
        evictAged();
        if (entries.size > 0) sweepLater();
      },
      Math.min(maxAgeMs, MAX_TIMER_MS),
    ).unref();
  };

  const insert = (name: string, key: DataKey): Entry => {
    const entry: Entry = { key, loadedAt: clock(), messages: 0, bytes: 0 };
    evictAged();
    const [oldest] = entries;
    if (oldest !== undefined && entries.size >= maxEntries) evict(...oldest);
    entries.set(name, entry);
    sweepLater();
    return entry;
  };

  const startFlight = (name: string, partition: string, id: string): Flight => {
    const flight: Flight = {
      ...Promise.withResolvers<Entry>(),
      controller: new AbortController(),
      waiting: 0,
    };
    flights.set(name, flight);
    const run = async (): Promise<void> => {
      try {
        const key = await load(partition, id, flight.controller.signal);
        if (flights.get(name) === flight) flight.resolve(insert(name, key));
        else key.destroy();
      } catch (error) {
        flight.reject(error);
      } finally {
        if (flights.get(name) === flight) flights.delete(name);
      }
    };
    void run();
    return flight;
  };

  const abandon = (name: string, flight: Flight, reason: unknown): void => {
    if (flights.get(name) !== flight) return;
    flights.delete(name);
    flight.reject(reason);
    flight.controller.abort(reason);
  };

  const join = async (
    name: string,
    flight: Flight,
    signal: AbortSignal | undefined,
  ): Promise<Entry> => {
    flight.waiting += 1;
    try {
      return await abortable(flight.promise, signal);
    } finally {
      flight.waiting -= 1;
      // Nobody waits any more: if the load still runs, it is for nothing.
      if (flight.waiting === 0) abandon(name, flight, signal?.reason);
    }
  };

  return {
    get: async (partition, id, { signal, bytes = 0 } = {}) => {
      if (!(bytes >= 0 && bytes <= maxBytes)) {
        throw new CryptoError("ERR_INVALID_ARGUMENT", `${bytes} bytes are more than ${maxBytes}`);
      }
      const name = JSON.stringify([partition, id]);
      for (;;) {
        signal?.throwIfAborted();
        if (closed) throw closedError();
        const entry = entries.get(name);
        if (entry !== undefined && take(entry, bytes)) {
          entries.delete(name);
          entries.set(name, entry);
          return entry.key;
        }
        if (entry !== undefined) evict(name, entry);
        const flight = flights.get(name) ?? startFlight(name, partition, id);
        const loaded = await join(name, flight, signal);
        // Others who waited may have used it up.
        if (!closed && take(loaded, bytes)) return loaded.key;
      }
    },
    close: () => {
      if (closed) return;
      closed = true;
      clearTimeout(sweep);
      for (const [name, flight] of flights) abandon(name, flight, closedError());
      for (const entry of entries.values()) entry.key.destroy();
      entries.clear();
    },
  };
};

const closedError = (): CryptoError =>
  new CryptoError("ERR_CLOSED", "The data-key cache is closed");

/** The result of a shared load, or the caller's own abort, whichever comes first. */
const abortable = <T>(shared: Promise<T>, signal: AbortSignal | undefined): Promise<T> => {
  if (signal === undefined) return shared;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    shared.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
};
