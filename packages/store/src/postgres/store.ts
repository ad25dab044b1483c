import { CryptoError } from "@lango/crypto-core";
import { retry } from "../busy.ts";
import type { Migration } from "../migrations.ts";
import { Running } from "../running.ts";
import type { Durability, Store, StoreTransaction } from "../store.ts";
import { readsOf, transactionOf } from "../tables.ts";
import { Turns } from "../turns.ts";
import { begin, beginSnapshot, commit, rollback } from "./begin.ts";
import { findDamage } from "./integrity.ts";
import { Link, type Place, READ_ONLY, whileLost } from "./link.ts";
import { withAdvisoryLock } from "./lock.ts";
import { Opening } from "./opening.ts";
import { Source } from "./source.ts";

export interface PostgresStoreOptions {
  readonly place: Place;
  readonly migrations: readonly Migration[];
  /** Schema version that every transaction must find. */
  readonly version: number;
  readonly reader: Source;
  /** Mode `read`: no transactions and no lock. */
  readonly readOnly: boolean;
}

/**
 * Two connections: one runs the transactions of this process one after the other, and is opened by the first of them;
 * the other reads, and so sees committed rows only. Neither waits for the other. A lock has a third.
 */
export function createPostgresStore(options: PostgresStoreOptions): Store {
  const { place, reader, version } = options;
  const { location } = place.address;
  const writer = new Source(
    place,
    // What follows a beginning that the server refused altogether is in no transaction: there it can write nothing.
    `set lock_timeout to ${Math.max(1, Math.ceil(place.timeoutMs))}; ${READ_ONLY}`,
  );
  const turns = new Turns();
  let closing: Promise<void> | undefined;

  const checkOpen = () => {
    if (closing !== undefined)
      throw new CryptoError("ERR_CLOSED", `The store ${location} is closed`);
  };
  const checkWritable = () => {
    checkOpen();
    if (!options.readOnly) return;
    throw new CryptoError("ERR_ACCESS_DENIED", `${location} was opened for reading only`);
  };

  const read = <T>(work: (link: Link) => Promise<T>): Promise<T> =>
    retry(whileLost(place), async () => {
      checkOpen();
      return work(await reader.get());
    });

  async function transact<T>(
    durability: Durability,
    run: (tx: StoreTransaction) => Promise<T>,
  ): Promise<T> {
    const opening = new Opening({
      place,
      connect: () => writer.get(),
      begin: (link) => begin(link, durability, { place, version }),
    });
    const running = new Running(opening, (error) => error as CryptoError);
    let committed = false;
    try {
      const work = run(transactionOf(running.executor));
      // Also when nothing was asked at once: whoever works in a transaction works alone.
      const beginning = opening.begun();
      const result = await work;
      const link = await beginning;
      await running.commit(() => commit(link, location));
      committed = true;
      return result;
    } finally {
      running.end();
      if (!committed) await opening.begun().then(rollback, () => undefined);
    }
  }

  const store: Store = {
    ...readsOf({
      first: (statement, params) => read((link) => link.first(statement, params)),
      all: (statement, params) => read((link) => link.all(statement, params)),
    }),
    location,

    async transaction(durability, run) {
      checkWritable();
      return turns.take(() => transact(durability, run));
    },

    async withLock(run, { waitMs = place.timeoutMs } = {}) {
      checkWritable();
      return withAdvisoryLock(place, waitMs, run);
    },

    async snapshot(run) {
      checkOpen();
      const link = await retry(whileLost(place), () => Link.open(place));
      try {
        await beginSnapshot(link, place, version);
        return await run(readsOf(link));
      } finally {
        await link.close();
      }
    },

    integrityCheck: () => read((link) => findDamage(link, place, options.migrations)),

    close() {
      closing ??= turns.take(async () => {
        await Promise.all([reader.close(), writer.close()]);
      });
      return closing;
    },

    [Symbol.asyncDispose]: () => store.close(),
  };
  return store;
}
