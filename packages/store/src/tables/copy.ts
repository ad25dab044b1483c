import { type RawBuilder, sql } from "kysely";
import type { CopyReads, CopyRows, RawRow } from "../copy-types.ts";
import type { Database } from "../schema.ts";
import {
  type Executor,
  type ReadExecutor,
  type SqlValue,
  type Statement,
  statement,
} from "../statement.ts";
import { count } from "./counters.ts";
import { checkLimit } from "./limit.ts";

/** Tables that go along when a vault moves to another database. The keyslots do not: they may become a file. */
type Copied = Exclude<keyof Database, "migrations" | "keyslots">;

/** `K`: part of the primary key, in the order given. */
type Role = "K" | "-";

// Every column by name, so that one that a later migration adds is missed by the compiler, not by a copy.
// Those who are referred to come before those who refer.
const TABLES: { readonly [T in Copied]: { readonly [C in keyof Database[T]]: Role } } = {
  vault: {
    ...{ id: "K", vault_id: "-", format: "-", state: "-", created_at: "-", slot_generation: "-" },
    ...{ slot_mac: "-", pending_generation: "-", pending_mac: "-", audit_key: "-" },
    ...{ audit_epoch: "-", mac: "-" },
  },
  keys: {
    ...{ id: "K", name: "-", type: "-", algorithm: "-", provider: "-", remote_key_id: "-" },
    ...{ key_version: "-", public_key: "-", state: "-", created_at: "-", last_used_at: "-" },
    mac: "-",
  },
  key_versions: {
    ...{ key_id: "K", version: "K", sealed: "-", public_key: "-", state: "-", created_at: "-" },
    mac: "-",
  },
  data_keys: {
    ...{ id: "K", key_id: "-", domain: "-", wrapped: "-", wrap_uri: "-", wrap_version: "-" },
    ...{ state: "-", degraded: "-", messages: "-", bytes: "-", created_at: "-", mac: "-" },
  },
  secrets: {
    ...{ collection: "K", name: "K", id: "-", key_id: "-", current_version: "-" },
    ...{ created_at: "-", updated_at: "-", deleted_at: "-", mac: "-", uses: "-" },
    last_used_at: "-",
  },
  secret_versions: {
    ...{ secret_id: "K", version: "K", data_key_id: "-", sealed: "-", size: "-" },
    created_at: "-",
  },
  companions: {
    ...{ id: "K", name: "-", role: "-", fingerprint: "-", state: "-", paired_at: "-", mac: "-" },
  },
  companion_results: {
    ...{ peer_id: "K", request_id: "K", hash: "-", sealed: "-", created_at: "-" },
  },
  permits: {
    ...{ id: "K", kind: "-", subject: "-", terms: "-", dangerous: "-", approved_by: "-" },
    ...{ created_at: "-", expires_at: "-", max_uses: "-", uses: "-", last_used_at: "-", mac: "-" },
  },
  policies: { subject: "K", content: "-", updated_at: "-", mac: "-" },
  jobs: { kind: "K", content: "-", started_at: "-", updated_at: "-", mac: "-" },
  audit_log: { seq: "K", prev: "-", hash: "-", mac: "-", epoch: "-", entry: "-" },
  audit_head: { id: "K", seq: "-", hash: "-", epoch: "-" },
  counters: { id: "K", secrets: "-", keys: "-", data_keys: "-" },
};

/** In the order in which they are copied. */
export const COPIED_TABLES: readonly string[] = Object.keys(TABLES);

/** Rows of one statement: more of them save round trips to a server. */
const ROWS_AT_ONCE = 32;

/** The column that says how much a page of a table weighs, where rows are not small. */
const WEIGHTS: Readonly<Record<string, string>> = { secret_versions: "size" };

type Values = Readonly<Record<string, SqlValue>>;
type Query = Statement<Values, Values>;

interface TableStatements {
  readonly keys: readonly string[];
  readonly columns: readonly string[];
  readonly count: Query;
  readonly first: Query;
  readonly next: Query;
  readonly firstWeights: Query;
  readonly nextWeights: Query;
  readonly insert: Query;
  readonly insertMany: Query;
}

const statementsOf = (table: string, roles: Readonly<Record<string, Role>>): TableStatements => {
  const columns = Object.keys(roles);
  const keys = columns.filter((column) => roles[column] === "K");
  const list = (names: readonly string[]): RawBuilder<unknown> =>
    sql.join(names.map((name) => sql.ref(name)));
  const page = (what: RawBuilder<unknown>, isFirst: boolean): Query =>
    query((p) => {
      const after = sql`where (${list(keys)}) > (${sql.join(keys.map((key) => p[key]))})`;
      return sql`select ${what} from ${sql.table(table)} ${isFirst ? sql`` : after} order by ${list(keys)} limit ${p["limit"]}`;
    });
  const insert = (rows: number): Query =>
    query((p) => {
      const values = Array.from(
        { length: rows },
        (_, row) => sql`(${sql.join(columns.map((_, at) => p[row * columns.length + at]))})`,
      );
      return sql`insert into ${sql.table(table)} (${list(columns)}) values ${sql.join(values)}`;
    });
  const weight = WEIGHTS[table];
  const weights = weight === undefined ? sql`0 as weight` : sql`${sql.ref(weight)} as weight`;
  return {
    keys,
    columns,
    count: query(() => sql`select count(*) as rows from ${sql.table(table)}`),
    first: page(list(columns), true),
    next: page(list(columns), false),
    firstWeights: page(weights, true),
    nextWeights: page(weights, false),
    insert: insert(1),
    insertMany: insert(ROWS_AT_ONCE),
  };
};

const query = (build: (params: Values) => RawBuilder<unknown>): Query =>
  statement((queries, params: Values) => ({
    compile: () => build(params).compile(queries) as never,
  }));

const STATEMENTS: ReadonlyMap<string, TableStatements> = new Map(
  Object.entries(TABLES).map(([table, roles]) => [table, statementsOf(table, roles)]),
);

const of = (table: string): TableStatements => {
  const found = STATEMENTS.get(table);
  if (found === undefined) throw new TypeError(`There is no table ${table} to copy`);
  return found;
};

const keyOf = (keys: readonly string[], row: RawRow | undefined): Values =>
  row === undefined ? {} : Object.fromEntries(keys.map((key) => [key, row[key] ?? null]));

export const copyReads = (executor: ReadExecutor): CopyReads => ({
  tables: COPIED_TABLES,

  async count(table) {
    const found = await executor.first(of(table).count, {});
    return Number(found?.["rows"] ?? 0);
  },

  async page(table, { after, limit, maxBytes }) {
    checkLimit(limit);
    const { keys, first, next, firstWeights, nextWeights } = of(table);
    const from = keyOf(keys, after);
    const isFirst = after === undefined;
    let rows = limit;
    if (WEIGHTS[table] !== undefined) {
      const weights = await executor.all(isFirst ? firstWeights : nextWeights, { ...from, limit });
      rows = Math.max(1, countWithin(weights, maxBytes));
    }
    return executor.all(isFirst ? first : next, { ...from, limit: rows });
  },
});

/** How many of the first rows weigh no more than `maxBytes` together. */
const countWithin = (weights: readonly Values[], maxBytes: number): number => {
  let sum = 0;
  const tooMany = weights.findIndex((row) => {
    sum += Number(row["weight"]);
    return sum > maxBytes;
  });
  return tooMany === -1 ? weights.length : tooMany;
};

export const copyRows = (executor: Executor): CopyRows => ({
  ...copyReads(executor),

  async insert(table, rows) {
    if (table === "counters") {
      const [row] = rows;
      const { secrets, keys, data_keys: dataKeys } = (row ?? {}) as unknown as Database["counters"];
      await count(executor, { secrets, keys, dataKeys });
      return;
    }
    const { columns, insert, insertMany } = of(table);
    const many = rows.length - (rows.length % ROWS_AT_ONCE);
    for (let start = 0; start < many; start += ROWS_AT_ONCE) {
      const batch = rows.slice(start, start + ROWS_AT_ONCE);
      await executor.run(insertMany, numbered(columns, batch));
    }
    for (const row of rows.slice(many)) await executor.run(insert, numbered(columns, [row]));
  },
});

/** One after the other, by their numbers: names for all of them would be most of what a copy makes and throws away. */
const numbered = (columns: readonly string[], rows: readonly RawRow[]): Values => {
  const values: SqlValue[] = [];
  for (const row of rows) for (const column of columns) values.push(row[column] ?? null);
  return values as unknown as Values;
};
