/** A prepared statement of {@link SqliteDatabase}: the part of better-sqlite3's that the store uses. */
export interface SqliteStatement {
  get(...params: unknown[]): unknown;
  all(...params: unknown[]): unknown[];
  run(...params: unknown[]): { changes: number };
}

/** A connection: the part of better-sqlite3's `Database` that the store uses. */
export interface SqliteDatabase {
  prepare(sql: string): SqliteStatement;
  exec(sql: string): unknown;
  close(): unknown;
}

/** The class that `better-sqlite3` and `better-sqlite3-multiple-ciphers` export. */
export type SqliteConstructor = new (
  file: string,
  options: { readonly?: boolean; fileMustExist?: boolean; timeout?: number },
) => SqliteDatabase;
