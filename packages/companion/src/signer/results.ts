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
  // By device, so that one that sends many requests pushes out nobody else's results. A map keeps the order of insertion.
  const byPeer = new Map<string, Map<string, StoredResult & { readonly expiresAt: number }>>();

  return {
    find: async (peerId, id) => {
      const found = byPeer.get(peerId)?.get(id);
      return found === undefined || found.expiresAt <= clock() ? undefined : found;
    },
    put: async (peerId, id, hash, result) => {
      const kept = byPeer.get(peerId) ?? new Map();
      byPeer.set(peerId, kept);
      for (const [oldest, { expiresAt }] of kept) {
        if (expiresAt > clock() && kept.size < maxEntries) break;
        kept.delete(oldest);
      }
      if (kept.has(id)) {
        throw new CryptoError("ERR_CONFLICT", "The device has a result of that request already");
      }
      kept.set(id, { hash, result, expiresAt: clock() + ttlMs });
    },
  };
};
