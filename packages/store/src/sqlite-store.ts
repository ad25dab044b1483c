import { CryptoError } from "@lango/crypto-core";
import { retryBusy } from "./busy.ts";
import type { Connection } from "./connection.ts";
import { findDamage } from "./integrity.ts";
import { isBusy, mapSqliteError } from "./sqlite-errors.ts";
import type { Durability, Store, StoreTransaction } from "./store.ts";
import { readsOf } from "./tables.ts";
import { Turns } from "./turns.ts";
import { Writer } from "./writer.ts";

export interface SqliteStoreOptions {
  readonly file: string;
  /** Schema version that every transaction must find. */
  readonly version: number;
  readonly reader: Connection;
  /** Mode `read`: no transactions, and no lock, whose file would have to be made. */
  readonly readOnly: boolean;
  readonly openWriter: () => Connection;
  readonly withLock: Store["withLock"];
  /** The schema that the migrations make. */
  readonly expectedSchema: () => ReadonlyMap<string, string>;
  readonly timeoutMs: number;
}

/**
 * Two connections: one runs the transactions of this process one after the other, and is opened by the first of them;
 * the other reads while a transaction runs, and so sees committed rows only. Neither waits for the other (WAL). Between
 * transactions the first one reads too: a commit empties the page cache of every connection but its own.
 */
export function createSqliteStore(options: SqliteStoreOptions): Store {
  const { file, reader, timeoutMs } = options;
  let closing: Promise<void> | undefined;
  let writer: Writer | undefined;
  const turns = new Turns();

  const idle = (): Connection => writer?.idle() ?? reader;

  const checkOpen = () => {
    if (closing !== undefined) throw new CryptoError("ERR_CLOSED", `The store ${file} is closed`);
  };
  const checkWritable = () => {
    checkOpen();
    if (!options.readOnly) return;
    throw new CryptoError("ERR_ACCESS_DENIED", `${file} was opened for reading only`);
  };

  const read = <T>(work: () => T): Promise<T> => {
    try {
      checkOpen();
      return Promise.resolve(work());
    } catch (error) {
      if (!isBusy(error)) return Promise.reject(mapSqliteError(error, file));
      // Rare under WAL: another process is recovering or removing the log.
      return retryBusy(timeoutMs, () => {
        checkOpen();
        return work();
      }).catch((last) => Promise.reject(mapSqliteError(last, file)));
    }
  };

  const reads = readsOf({
    first: (statement, params) => read(() => idle().first(statement, params)),
    all: (statement, params) => read(() => idle().all(statement, params)),
  });

  async function transact<T>(
    durability: Durability,
    run: (tx: StoreTransaction) => Promise<T>,
  ): Promise<T> {
    try {
      await retryBusy(timeoutMs, () => {
        writer ??= new Writer({ connection: options.openWriter(), file, version: options.version });
        writer.begin(durability);
      });
    } catch (error) {
      throw mapSqliteError(error, file);
    }
    return (writer as Writer).run(run);
  }

  const store: Store = {
    ...reads,
    location: file,

    async transaction(durability, run) {
      checkWritable();
      return turns.take(() => transact(durability, run));
    },

    async withLock(run, lockOptions) {
      checkWritable();
      return options.withLock(run, lockOptions);
    },

    integrityCheck() {
      return read(() => {
        try {
          return findDamage(reader, options.expectedSchema());
        } catch (error) {
          if (isBusy(error)) throw error;
          return [mapSqliteError(error, file).message];
        }
      });
    },

    close() {
      closing ??= turns.take(async () => {
        reader.database.close();
        writer?.close();
      });
      return closing;
    },

    [Symbol.asyncDispose]: () => store.close(),
  };
  return store;
}
