import type { Connection } from "./connection.ts";
import type { SqliteStatement } from "./driver.ts";
import { checkUnchanged } from "./migrate.ts";
import { Running } from "./running.ts";
import { mapSqliteError } from "./sqlite-errors.ts";
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
    const running = new Running(connection, (error) => mapSqliteError(error, file));
    try {
      // Under the write lock, without which nobody puts another file into its place.
      connection.checkPlace();
      this.#checkVersion();
      const result = await body(transactionOf(running.executor));
      await running.commit(() => this.#commit.run());
      return result;
    } finally {
      running.end();
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
    checkUnchanged(found, this.#options.version, this.#options.file);
  }
}
