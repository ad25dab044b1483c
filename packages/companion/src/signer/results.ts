import { type Bytes, CryptoError } from "@lango/crypto-core";

/**
 * What was answered to requests that may happen once only: `sign`, `mac`, `wallet.sign` and `approval.request`. It is kept
 * for 24 hours, so that a request that comes again, because its answer was lost, gets the same bytes.
 */
export interface ResultStore {
  /** What the device `peerId` was answered under this id. Results of other devices are never found. */
  find(peerId: string, id: string): Promise<StoredResult | undefined>;
  /**
   * Keeps a result; when it resolves, a crash no longer loses it.
   *
   * @param hash - SHA-256 of the request, 32 bytes.
   * @throws CryptoError `ERR_CONFLICT` when the device has a result of that id already.
   */
  put(peerId: string, id: string, hash: Bytes, result: Bytes): Promise<void>;
}

export interface StoredResult {
  readonly hash: Bytes;
  readonly result: Bytes;
}

export interface MemoryResultsOptions {
  /** Results kept for each device; the oldest is dropped for one more. Default: 10,000. */
  readonly maxEntries?: number | undefined;
  /** Milliseconds that a result is kept. Default: 24 hours. */
  readonly ttlMs?: number | undefined;
  /** Milliseconds since the epoch. Default: `Date.now`. */
  readonly clock?: (() => number) | undefined;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** A {@link ResultStore} for a companion that is embedded: what it holds is lost with the process. */
export const memoryResults = ({
  maxEntries = 10_000,
  ttlMs = DAY_MS,
  clock = Date.now,
}: MemoryResultsOptions = {}): ResultStore => {
  // By device, so that one that sends many requests pushes out nobody else's results.
  const byPeer = new Map<string, Kept>();

  const find = (peerId: string, id: string): Entry | undefined => {
    const found = byPeer.get(peerId)?.entries.get(id);
    return found === undefined || found.expiresAt <= clock() ? undefined : found;
  };

  return {
    find: async (peerId, id) => find(peerId, id),
    put: async (peerId, id, hash, result) => {
      if (find(peerId, id) !== undefined) {
        throw new CryptoError("ERR_CONFLICT", "The device has a result of that request already");
      }
      const added: Entry = { id, hash, result, expiresAt: clock() + ttlMs };
      const kept: Kept = byPeer.get(peerId) ?? { entries: new Map() };
      byPeer.set(peerId, kept);
      kept.entries.set(id, added);
      kept.oldest ??= added;
      if (kept.newest !== undefined) kept.newest.next = added;
      kept.newest = added;
      dropOld(kept, maxEntries, clock());
    },
  };
};

interface Entry extends StoredResult {
  readonly id: string;
  readonly expiresAt: number;
  /** The one that was added after it. */
  next?: Entry;
}

/**
 * The results of a device, and a list of them in the order in which they came: the first member of a map is slow to find when
 * thousands before it were deleted.
 */
interface Kept {
  readonly entries: Map<string, Entry>;
  oldest?: Entry | undefined;
  newest?: Entry;
}

const dropOld = (kept: Kept, maxEntries: number, now: number): void => {
  const { entries } = kept;
  let { oldest } = kept;
  while (oldest?.next && (oldest.expiresAt <= now || entries.size > maxEntries)) {
    // It may have expired and been replaced by another of its id.
    if (entries.get(oldest.id) === oldest) entries.delete(oldest.id);
    oldest = oldest.next;
  }
  kept.oldest = oldest;
};
