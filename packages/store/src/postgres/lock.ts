import { createHash } from "node:crypto";
import { CryptoError, isCryptoError } from "@lango/crypto-core";
import { retry } from "../busy.ts";
import { Link, type Place, whileLost } from "./link.ts";

/**
 * Runs while no other connection holds the lock of this schema: an advisory lock of a session (PostgreSQL's documentation,
 * 13.3.5), which the server frees when the connection ends, however its process died.
 *
 * @param run - Gets the connection that holds the lock.
 * @throws {@link CryptoError} `ERR_CONFLICT` when it is still held after `waitMs`; `ERR_UNAVAILABLE`, not
 *   retryable, when the connection was lost while `run` ran, so that another may have had the lock too.
 */
export async function withAdvisoryLock<T>(
  place: Place,
  waitMs: number,
  run: (link: Link) => Promise<T>,
): Promise<T> {
  const link = await retry(whileLost(place), () => Link.open(place));
  try {
    await acquire(link, place, waitMs);
    const result = await run(link);
    // Asked, not only looked at: a connection that went silent is there until somebody speaks on it.
    const isHeld = await link.exec("select 1").then(
      () => true,
      () => false,
    );
    if (!isHeld) throw lockLost(place.address.location);
    return result;
  } finally {
    await link.close();
  }
}

async function acquire(link: Link, { address, limits }: Place, waitMs: number): Promise<void> {
  // 0 would be no limit at all.
  const limit = Math.max(1, Math.ceil(waitMs));
  try {
    await link.exec(
      `set lock_timeout to ${limit}; select pg_advisory_lock(${keyOf(address.schema)}); reset lock_timeout`,
      { withinMs: limit + limits.statementMs },
    );
  } catch (error) {
    if (!isCryptoError(error) || error.code !== "ERR_BUSY") throw error;
    throw new CryptoError("ERR_CONFLICT", `Another lango is changing ${address.location}`, {
      context: { hint: "Wait until it is done, then try again." },
      cause: error,
    });
  }
}

/** A lock's number within a database, as 64 bits with a sign. */
const keyOf = (schema: string): bigint =>
  createHash("sha256").update("lango/v1/store-lock\0").update(schema).digest().readBigInt64BE();

const lockLost = (location: string): CryptoError =>
  new CryptoError("ERR_UNAVAILABLE", `The connection that held the lock of ${location} was lost`, {
    retryable: false,
    context: { hint: "The work may be done: look at its outcome before you repeat it." },
  });
