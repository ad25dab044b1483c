import { CryptoError } from "@lango/crypto-core";
import { checkUnchanged } from "../migrate.ts";
import type { Durability } from "../store.ts";
import type { Link, Place } from "./link.ts";

/**
 * The lock that makes writing transactions run one after the other, as in SQLite. Each takes it first, so that it reads
 * what its predecessors wrote and nothing that changes under it: no lost update, no deadlock, no transaction to repeat.
 */
export const LOCK_WRITERS = "select id from counters where id = 1 for update";

/**
 * `off`: the commit does not wait for the disk. Nothing is torn, and a crash of the server may take the last commits
 * (PostgreSQL's documentation, 20.5.1).
 */
const SYNCHRONOUS: Readonly<Record<Durability, string>> = { normal: "off", full: "on" };

/**
 * Begins a writing transaction, in one message.
 *
 * @throws {@link CryptoError} Nothing has begun then. `ERR_BUSY` when others kept the lock; `ERR_CONFLICT` when a newer
 *   lango has migrated the tables; `ERR_INTEGRITY` when the counters are gone.
 */
export async function begin(
  link: Link,
  durability: Durability,
  { place: { address, timeoutMs, limits }, version }: { place: Place; version: number },
): Promise<void> {
  const { location } = address;
  try {
    // READ COMMITTED: the statements behind the lock see what was committed while it waited.
    const results = await link.exec(
      `begin isolation level read committed read write;
       set local synchronous_commit to ${SYNCHRONOUS[durability]};
       ${LOCK_WRITERS};
       select max(version) as version from migrations`,
      { withinMs: timeoutMs + limits.statementMs },
    );
    const [locked, found] = results.slice(-2);
    if (locked?.rowCount !== 1) {
      throw new CryptoError("ERR_INTEGRITY", `${location} has lost the row of its counters`, {
        context: { hint: "It was left as it is; restore a backup." },
      });
    }
    checkUnchanged(Number(found?.rows[0]?.version), version, location);
  } catch (error) {
    await rollback(link);
    throw error;
  }
}

/**
 * Begins a transaction that sees the database as it is now until its connection ends (PostgreSQL's documentation, 13.2.2).
 *
 * @throws {@link CryptoError} `ERR_CONFLICT` when a newer lango has migrated the tables.
 */
export async function beginSnapshot(
  link: Link,
  { address }: Place,
  version: number,
): Promise<void> {
  const results = await link.exec(
    "begin isolation level repeatable read read only; select max(version) as version from migrations",
  );
  checkUnchanged(Number(results.at(-1)?.rows[0]?.version), version, address.location);
}

/** @throws {@link CryptoError} `ERR_UNAVAILABLE`, not retryable, when the answer was lost and so may be the transaction. */
export async function commit(link: Link, location: string): Promise<void> {
  let command: string | undefined;
  try {
    const [result] = await link.exec("commit");
    command = result?.command;
  } catch (error) {
    if (!link.lost) throw error;
    throw new CryptoError(
      "ERR_UNAVAILABLE",
      `The connection to ${location} was lost while it committed`,
      {
        retryable: false,
        context: { hint: "Whether it was written is unknown: read again before you repeat it." },
        cause: error,
      },
    );
  }
  // The server's answer when a statement failed that nobody had waited for.
  if (command !== "COMMIT")
    throw new CryptoError("ERR_INTERNAL", `${location} rolled the transaction back`);
}

/** Never fails: a connection on which it does not work is given up, and the server rolls back. */
export async function rollback(link: Link): Promise<void> {
  if (link.lost) return;
  await link.exec("rollback").catch(() => link.close());
}
