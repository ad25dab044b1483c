import { CryptoError, toPlain } from "@lango/crypto-core";
import type { Dialect } from "./dialect.ts";
import type { SqliteDatabase, SqliteStatement } from "./driver.ts";
import { type FileId, fileId, isSameFile } from "./open-files.ts";
import { bind, type Params, type Statement } from "./statement.ts";

interface Prepared {
  readonly native: SqliteStatement;
  readonly parameters: readonly unknown[];
}

/** The file of a connection as it was when it was opened. */
export interface OpenedFile {
  readonly path: string;
  readonly id: FileId;
  /** To call when the connection is closed. */
  readonly closed: () => void;
}

/** A SQLite connection that prepares each {@link Statement} once. Synchronous; throws the driver's own errors. */
export class Connection {
  readonly database: SqliteDatabase;
  readonly #dialect: Dialect;
  readonly #file: OpenedFile | undefined;
  readonly #prepared = new Map<object, Prepared>();

  /** @param file - Which one it is; none for a database in memory. */
  constructor(database: SqliteDatabase, dialect: Dialect, file?: OpenedFile) {
    this.database = database;
    this.#dialect = dialect;
    this.#file = file;
  }

  /** Whether another file has taken the place of this one: what is read here is old, and what is written would be lost. */
  isReplaced(): boolean {
    return this.#file !== undefined && !isSameFile(this.#file.id, fileId(this.#file.path));
  }

  /** @throws {@link CryptoError} `ERR_CONFLICT` when {@link isReplaced}. */
  checkPlace(): void {
    if (!this.isReplaced()) return;
    throw new CryptoError(
      "ERR_CONFLICT",
      `${this.#file?.path} was replaced by another lango while it was open`,
      { context: { hint: "Open the vault again: restart this lango." } },
    );
  }

  close(): void {
    this.database.close();
    this.#file?.closed();
  }

  first<P extends Params<P>, R>(statement: Statement<P, R>, params: P): R | undefined {
    const { native, parameters } = this.#prepare(statement);
    const row = native.get(...bind(parameters, params));
    return row === undefined ? undefined : plainRow(row as R);
  }

  all<P extends Params<P>, R>(statement: Statement<P, R>, params: P): R[] {
    const { native, parameters } = this.#prepare(statement);
    return (native.all(...bind(parameters, params)) as R[]).map(plainRow);
  }

  run<P extends Params<P>, R>(statement: Statement<P, R>, params: P): number {
    const { native, parameters } = this.#prepare(statement);
    return native.run(...bind(parameters, params)).changes;
  }

  runEach<P extends Params<P>, R>(statement: Statement<P, R>, list: readonly P[]): number[] {
    const { native, parameters } = this.#prepare(statement);
    return list.map((params) => native.run(...bind(parameters, params)).changes);
  }

  /** The rows of a statement that is no query of ours, e.g. a pragma, as arrays of values. */
  rows(sql: string): unknown[][] {
    const rows = this.database.prepare(sql).all() as Record<string, unknown>[];
    return rows.map((row) => Object.values(row));
  }

  #prepare<P, R>(statement: Statement<P, R>): Prepared {
    let prepared = this.#prepared.get(statement);
    if (prepared === undefined) {
      const { sql, parameters } = statement.compile(this.#dialect);
      prepared = { native: this.database.prepare(sql), parameters };
      this.#prepared.set(statement, prepared);
    }
    return prepared;
  }
}

/** The driver returns a Buffer for a blob; each is over memory of its own, so a plain view costs no copy. */
function plainRow<R>(row: R): R {
  const columns = row as Record<string, unknown>;
  for (const name in columns) {
    const value = columns[name];
    if (value instanceof Uint8Array) columns[name] = toPlain(value);
  }
  return row;
}
