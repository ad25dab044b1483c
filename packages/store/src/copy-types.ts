import type { SqlValue } from "./statement.ts";

/** A row with the columns that its table has, as any database of ours holds it. */
export type RawRow = Readonly<Record<string, SqlValue>>;

/** Options of {@link CopyReads.page}. */
export interface RawPage {
  /** The last row of the page before. Default: from the first row. */
  readonly after?: RawRow | undefined;
  /** 1 to 1,000 rows. */
  readonly limit: number;
  /** The page ends before the sealed values in it are more than this, but has a row. */
  readonly maxBytes: number;
}

/** Reads of whole tables, to copy a vault from one database into another. */
export interface CopyReads {
  /** Every table but `keyslots`; those who are referred to come before those who refer. */
  readonly tables: readonly string[];
  /** Counts the rows of a table, one by one. */
  count(table: string): Promise<number>;
  /** Rows in the order of their primary key. None: the page before was the last. */
  page(table: string, page: RawPage): Promise<RawRow[]>;
}

/** Reads of whole tables, and the one way to write rows as they are. */
export interface CopyRows extends CopyReads {
  /** Adds rows to a table that was empty before the copy; those of `counters` are added to what it says. */
  insert(table: string, rows: readonly RawRow[]): Promise<void>;
}
