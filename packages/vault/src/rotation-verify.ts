import { setImmediate } from "node:timers/promises";
import { isCryptoError, zero } from "@lango/crypto-core";
import type { DataKey } from "@lango/envelope";
import type { SealedPage, SealedVersion, VersionPlace } from "@lango/store";
import type { ResealContext } from "./rotation-reseal.ts";
import type { RotateOptions } from "./rotation-types.ts";
import { aadOf, doesNotOpen, openVersion } from "./sealed-version.ts";

/** Smaller than a batch: nobody waits for a page, and it holds the event loop and memory for less. */
const PAGE: SealedPage = { limit: 100, maxBytes: 4 * 1024 * 1024 };

/** How often a page is read again because a data key that it names was destroyed since. */
const MAX_ATTEMPTS = 3;

/**
 * Opens every kept version of every secret, whatever its data key: the old ones are destroyed on the strength of this.
 *
 * @returns How many there are.
 * @throws {@link CryptoError} `ERR_DECRYPTION_FAILED` or `ERR_INTEGRITY`, with the name, for the first that does not open.
 */
export const verifyAll = async (
  parts: ResealContext,
  total: number,
  { onProgress, signal }: RotateOptions,
): Promise<number> => {
  let done = 0;
  for (let after: VersionPlace | undefined; ; ) {
    signal?.throwIfAborted();
    const page = await openPage(parts, after);
    const last = page.at(-1);
    if (!last) return done;
    after = { id: last.id, version: last.version };
    done += page.length;
    onProgress?.({ stage: "verify", done, total: Math.max(done, total) });
    await setImmediate();
  }
};

const openPage = async (
  { context, dataKeys }: ResealContext,
  after: VersionPlace | undefined,
): Promise<SealedVersion[]> => {
  for (let attempt = 1; ; attempt += 1) {
    const page = await context.store.secrets.walkSealed(after, PAGE);
    let reading = page[0];
    try {
      const openers = new Map<string, DataKey>();
      for (reading of page) {
        const { dataKeyId, size } = reading;
        if (!openers.has(dataKeyId)) openers.set(dataKeyId, await dataKeys.opener(dataKeyId, size));
      }
      for (const row of page) {
        zero(openVersion(row, openers.get(row.dataKeyId)!, aadOf(context, row)));
      }
      return page;
    } catch (error) {
      // Its data key was destroyed since the page was read, or left the cache.
      const again =
        isCryptoError(error) && (error.code === "ERR_KEY_RETIRED" || error.code === "ERR_CLOSED");
      if (!again) throw error;
      if (attempt === MAX_ATTEMPTS) throw reading ? doesNotOpen(reading, error) : error;
    }
  }
};
