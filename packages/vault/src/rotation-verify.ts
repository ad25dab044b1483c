import { setImmediate } from "node:timers/promises";
import { type CryptoError, isCryptoError } from "@lango/crypto-core";
import type { DataKey } from "@lango/envelope";
import type { SealedVersion, VersionPlace } from "@lango/store";
import { BATCH, type ResealContext } from "./rotation-reseal.ts";
import type { RotateOptions } from "./rotation-types.ts";
import { doesNotOpen } from "./sealed-version.ts";

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
  const { secrets } = parts.context.store;
  let done = 0;
  let attempt = 1;
  let after: VersionPlace | undefined;
  let page = await secrets.walkSealed(after, BATCH);
  for (let last = page.at(-1); last; last = page.at(-1)) {
    signal?.throwIfAborted();
    // The next one is read while this one is being opened.
    const [fault, next] = await Promise.all([
      openPage(parts, page),
      secrets.walkSealed(last, BATCH),
    ]);
    if (fault === undefined) {
      after = { id: last.id, version: last.version };
      done += page.length;
      attempt = 1;
      page = next;
      onProgress?.({ stage: "verify", done, total: Math.max(done, total) });
    } else {
      if (attempt === MAX_ATTEMPTS) throw fault;
      attempt += 1;
      page = await secrets.walkSealed(after, BATCH);
    }
    await setImmediate();
  }
  return done;
};

/** Opens all of a page; what it returns is why that page has to be read again. */
const openPage = async (
  { context: { vaultId }, dataKeys, thread }: ResealContext,
  page: readonly SealedVersion[],
): Promise<CryptoError | undefined> => {
  let reading = page[0];
  try {
    const keys = new Map<string, DataKey>();
    for (reading of page) {
      const { dataKeyId, size } = reading;
      if (!keys.has(dataKeyId)) keys.set(dataKeyId, await dataKeys.opener(dataKeyId, size));
    }
    await thread.open({ vaultId, dataKeys: keys, versions: page });
    return undefined;
  } catch (error) {
    // Its data key was destroyed since the page was read, or left the cache.
    const again =
      isCryptoError(error) && (error.code === "ERR_KEY_RETIRED" || error.code === "ERR_CLOSED");
    if (!again) throw error;
    return reading ? doesNotOpen(reading, error) : error;
  }
};
