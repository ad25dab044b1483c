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
   * disabled or replaced since: if that is what the failure says, it is read anew and used once more.
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
  const slotOf = ({ name, version = "" }: KeyRef): string => `${name.toLowerCase()}/${version}`;

  const keep = (ref: KeyRef, key: KeyVersion): void => {
    const slot = slotOf(ref);
    known.delete(slot);
    known.set(slot, { key, until: performance.now() + ttlMs });
    const [oldest] = known.keys();
    if (known.size > MAX_KEYS && oldest !== undefined) known.delete(oldest);
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
      const key = await read();
      keep(ref, key);
      return await use(key);
    },
    keep,
    clear: () => known.clear(),
  };
}
