import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import type { Database } from "./schema.ts";

/** What differs between the databases; everything else is one code path. */
export interface Dialect {
  /** Builds and compiles queries; it never runs one (see {@link Statement}). */
  readonly queries: Kysely<Database>;
  /** Whether a row read must be locked by name; SQLite locks the whole database for the writer. */
  readonly rowLocks: boolean;
  /** Column types and table options of the migrations. */
  readonly types: ColumnTypes;
}

export interface ColumnTypes {
  readonly text: string;
  readonly integer: string;
  readonly blob: string;
  /** After the closing bracket of a table of short rows that is kept in the order of its primary key. */
  readonly keyed: string;
  /** After the closing bracket of any other table. Rows of 1 KiB in a `keyed` table take 3 times the space and time. */
  readonly plain: string;
}

/** SQLite: STRICT tables refuse a wrong type; text compares by its UTF-8 bytes. */
export const sqliteDialect = (): Dialect => ({
  queries: new Kysely({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  }),
  rowLocks: false,
  types: {
    text: "text",
    integer: "integer",
    blob: "blob",
    keyed: "strict, without rowid",
    plain: "strict",
  },
});

/** PostgreSQL: text compares by its UTF-8 bytes here too, whatever the order of the database is. */
export const postgresDialect = (): Dialect => ({
  queries: new Kysely({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  }),
  rowLocks: true,
  types: {
    text: 'text collate "C"',
    integer: "bigint",
    blob: "bytea",
    keyed: "",
    plain: "",
  },
});
