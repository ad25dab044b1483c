import { type CryptoErrorCode, isCryptoError } from "@lango/crypto-core";
import type { KeyRef } from "./key-id.ts";
import type { KeyVersion } from "./keys.ts";

/** Keys remembered; the oldest goes first. */
const MAX_KEYS = 256;

const MAYBE_STALE: ReadonlySet<CryptoErrorCode> = new Set([
  "ERR_KEY_NOT_FOUND",
  "ERR_KEY_DISABLED",
  "ERR_KEY_USAGE",
]);

/** Remembers for a short time which version of a key is current, and the public facts of versions. */
export interface KeyCache {
  /**
   * Calls `use` with what is known about a key, or with what `read` gives. A key that is remembered may have been rotated,
   * disabled or replaced since: if that is what the failure says, it is read anew and used once more. Calls at one time
   * share one `read`.
   */
  use<T>(
    ref: KeyRef,
    read: () => Promise<KeyVersion>,
    use: (key: KeyVersion) => Promise<T>,
  ): Promise<T>;
  keep(ref: KeyRef, key: KeyVersion): void;
  clear(): void;
}

export function createKeyCache(ttlMs: number): KeyCache {
  const known = new Map<string, { key: KeyVersion; until: number }>();
  const reading = new Map<string, Promise<KeyVersion>>();
  const slotOf = ({ name, version = "" }: KeyRef): string => `${name.toLowerCase()}/${version}`;

  const keep = (ref: KeyRef, key: KeyVersion): void => {
    const slot = slotOf(ref);
    // One that is being read may be older.
    reading.delete(slot);
    known.delete(slot);
    known.set(slot, { key, until: performance.now() + ttlMs });
    const [oldest] = known.keys();
    if (known.size > MAX_KEYS && oldest !== undefined) known.delete(oldest);
  };

  const readOnce = (ref: KeyRef, read: () => Promise<KeyVersion>): Promise<KeyVersion> => {
    const slot = slotOf(ref);
    const running = reading.get(slot);
    if (running !== undefined) return running;
    const started = read().then(
      (key) => {
        if (reading.get(slot) === started) keep(ref, key);
        return key;
      },
      (error: unknown) => {
        if (reading.get(slot) === started) reading.delete(slot);
        throw error;
      },
    );
    reading.set(slot, started);
    return started;
  };

  return {
    async use(ref, read, use) {
      const entry = known.get(slotOf(ref));
      if (entry !== undefined && performance.now() < entry.until) {
        try {
          return await use(entry.key);
        } catch (error) {
          if (!isCryptoError(error) || !MAYBE_STALE.has(error.code)) throw error;
          known.delete(slotOf(ref));
        }
      }
      return await use(await readOnce(ref, read));
    },
    keep,
    clear: () => {
      known.clear();
      reading.clear();
    },
  };
}
