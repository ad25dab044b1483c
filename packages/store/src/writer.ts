import { CryptoError } from "@lango/crypto-core";
import type { Connection } from "./connection.ts";
import type { SqliteStatement } from "./driver.ts";
import { mapSqliteError } from "./sqlite-errors.ts";
import type { Executor } from "./statement.ts";
import type { Durability, StoreTransaction } from "./store.ts";
import { transactionOf } from "./tables.ts";

export interface WriterOptions {
  readonly connection: Connection;
  readonly file: string;
  /** Schema version that every transaction must find. */
  readonly version: number;
}

/** The connection of the transactions; its user sees to it that they run one after the other. */
export class Writer {
  readonly #options: WriterOptions;
  readonly #begin: SqliteStatement;
  readonly #commit: SqliteStatement;
  readonly #rollback: SqliteStatement;
  readonly #userVersion: SqliteStatement;
  #durability: Durability | undefined;

  constructor(options: WriterOptions) {
    const { database } = options.connection;
    this.#options = options;
    this.#begin = database.prepare("begin immediate");
    this.#commit = database.prepare("commit");
    this.#rollback = database.prepare("rollback");
    this.#userVersion = database.prepare("pragma user_version");
  }

  /** Takes the write lock. @throws the driver's error when busy; nothing has begun then. */
  begin(durability: Durability): void {
    if (durability !== this.#durability) {
      // Before the transaction: SQLite does not change it inside one.
      this.#options.connection.database.exec(`pragma synchronous = ${durability}`);
      this.#durability = durability;
    }
    this.#begin.run();
  }

  /** Runs the body of the transaction that has begun, and ends it. */
  async run<T>(body: (tx: StoreTransaction) => Promise<T>): Promise<T> {
    const { connection, file } = this.#options;
    const running = new Running(connection, file);
    try {
      // Under the write lock, without which nobody puts another file into its place.
      connection.checkPlace();
      this.#checkVersion();
      const result = await body(transactionOf(running.executor));
      running.commit(this.#commit);
      return result;
    } finally {
      running.ended = true;
      // Not after a commit, nor where SQLite has rolled back by itself, e.g. on a full disk.
      if (connection.database.inTransaction) this.#rollback.run();
    }
  }

  /** The connection while no transaction runs: a read on it would otherwise see rows that are not committed. */
  idle(): Connection | undefined {
    const { connection } = this.#options;
    return connection.database.inTransaction ? undefined : connection;
  }

  close(): void {
    this.#options.connection.close();
  }

  /** A newer lango may have migrated the file under us; our rows would not fit its rules. */
  #checkVersion(): void {
    const { user_version: found } = this.#userVersion.get() as { user_version: number };
    const { file, version } = this.#options;
    if (found === version) return;
    throw new CryptoError(
      "ERR_CONFLICT",
      `${file} now has schema version ${found}, not ${version}: another lango changed it`,
      { context: { hint: "Restart this lango; update it if it is the older one." } },
    );
  }
}

/** What a transaction knows of itself while it runs. */
class Running {
  ended = false;
  readonly executor: Executor;
  #failure: CryptoError | undefined;
  readonly #file: string;

  constructor(connection: Connection, file: string) {
    this.#file = file;
    this.executor = {
      first: async (statement, params) => this.#step(() => connection.first(statement, params)),
      all: async (statement, params) => this.#step(() => connection.all(statement, params)),
      run: async (statement, params) => this.#step(() => connection.run(statement, params)),
      abandon: (error) => {
        this.#failure = error;
        return error;
      },
    };
  }

  /** A transaction in which a statement failed cannot commit, even if the error was caught: PostgreSQL's rule. */
  commit(statement: SqliteStatement): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#step(() => statement.run());
  }

  #step<T>(work: () => T): T {
    if (this.ended) throw new CryptoError("ERR_CLOSED", "The transaction has ended");
    try {
      return work();
    } catch (error) {
      throw this.executor.abandon(mapSqliteError(error, this.#file));
    }
  }
}
