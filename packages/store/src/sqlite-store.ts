import { CryptoError } from "@lango/crypto-core";
import { retryBusy } from "./busy.ts";
import type { Connection } from "./connection.ts";
import { findDamage } from "./integrity.ts";
import type { CipherState, Recrypted, RecryptOptions, RecryptStage } from "./recrypt-types.ts";
import { isBusy, mapSqliteError } from "./sqlite-errors.ts";
import type { Durability, Store, StoreTransaction } from "./store.ts";
import { readsOf } from "./tables.ts";
import { Turns } from "./turns.ts";
import { Writer } from "./writer.ts";

/** The file as it is encrypted now. */
export interface Connections {
  readonly reader: Connection;
  readonly openWriter: () => Connection;
  readonly cipher: CipherState | undefined;
}

export interface SqliteStoreOptions {
  readonly file: string;
  /** Schema version that every transaction must find. */
  readonly version: number;
  readonly connections: Connections;
  /** Mode `read`: no transactions, and no lock, whose file would have to be made. */
  readonly readOnly: boolean;
  /** Makes another file of this one; no connection is open then. Gives those of the new file. */
  readonly recrypt: (options: RecryptOptions) => Promise<Recrypted>;
  /** Opens the file that is there now. */
  readonly reopen: () => Promise<Connections>;
  readonly withLock: Store["withLock"];
  readonly copyTo: (file: string) => void;
  /** The schema that the migrations make. */
  readonly expectedSchema: () => ReadonlyMap<string, string>;
  readonly timeoutMs: number;
  /** Forgets the key of the database. */
  readonly dispose: () => void;
}

/**
 * Two connections: one runs the transactions of this process one after the other, and is opened by the first of them;
 * the other reads while a transaction runs, and so sees committed rows only. Neither waits for the other (WAL). Between
 * transactions the first one reads too: a commit empties the page cache of every connection but its own.
 */
export function createSqliteStore(options: SqliteStoreOptions): Store {
  const { file, timeoutMs } = options;
  let connections = options.connections;
  /** While there are no connections, because the file is made another. Rejects when there will be none again. */
  let paused: Promise<void> | undefined;
  let closing: Promise<void> | undefined;
  let writer: Writer | undefined;
  const turns = new Turns();

  const idle = (): Connection => {
    const connection = writer?.idle() ?? connections.reader;
    connection.checkPlace();
    return connection;
  };

  const checkOpen = () => {
    if (closing !== undefined) throw new CryptoError("ERR_CLOSED", `The store ${file} is closed`);
  };
  const checkWritable = () => {
    checkOpen();
    if (!options.readOnly) return;
    throw new CryptoError("ERR_ACCESS_DENIED", `${file} was opened for reading only`);
  };

  const read = <T>(work: () => T): Promise<T> => {
    if (paused !== undefined) return paused.then(() => read(work));
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
        writer ??= new Writer({
          connection: connections.openWriter(),
          file,
          version: options.version,
        });
        writer.begin(durability);
      });
    } catch (error) {
      throw mapSqliteError(error, file);
    }
    return (writer as Writer).run(run);
  }

  const closeConnections = () => {
    connections.reader.close();
    writer?.close();
    writer = undefined;
  };

  async function recrypt({ onStage, ...change }: RecryptOptions): Promise<Recrypted> {
    checkOpen();
    const resumed = Promise.withResolvers<void>();
    paused = resumed.promise;
    closeConnections();
    /** Of the caller, who gets it as it is. */
    let stop: { readonly error: unknown } | undefined;
    const told = (stage: RecryptStage) => {
      try {
        onStage?.(stage);
      } catch (error) {
        stop = { error };
        throw error;
      }
    };
    try {
      return await options.recrypt({ ...change, onStage: told });
    } catch (error) {
      throw stop ? stop.error : mapSqliteError(error, file);
    } finally {
      try {
        connections = await options.reopen();
        resumed.resolve();
        paused = undefined;
      } catch (error) {
        resumed.reject(error);
      }
      await resumed.promise;
    }
  }

  const store: Store = {
    ...reads,
    location: file,

    get cipher() {
      return connections.cipher;
    },

    async recrypt(recryptOptions) {
      checkWritable();
      const done = await turns.take(() => recrypt(recryptOptions));
      recryptOptions.onStage?.("reopened");
      return done;
    },

    async transaction(durability, run) {
      checkWritable();
      return turns.take(() => transact(durability, run));
    },

    async withLock(run, lockOptions) {
      checkWritable();
      return options.withLock(run, lockOptions);
    },

    async copyTo(to) {
      checkWritable();
      await read(() => options.copyTo(to));
    },

    integrityCheck() {
      return read(() => {
        try {
          return findDamage(connections.reader, options.expectedSchema());
        } catch (error) {
          if (isBusy(error)) throw error;
          return [mapSqliteError(error, file).message];
        }
      });
    },

    close() {
      closing ??= turns.take(async () => {
        closeConnections();
        options.dispose();
      });
      return closing;
    },

    [Symbol.asyncDispose]: () => store.close(),
  };
  return store;
}
