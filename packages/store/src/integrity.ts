import { connect, MEMORY, type Place } from "./connect.ts";
import type { Connection } from "./connection.ts";
import type { Migration } from "./migrations.ts";

const SCHEMA =
  "select type || ' ' || name, sql from sqlite_schema where name not like 'sqlite\\_%' escape '\\'";

/** What each counter counts. */
export const COUNTED: readonly (readonly [string, string])[] = [
  ["secrets", "select count(*) from secrets where deleted_at is null"],
  ["keys", "select count(*) from keys"],
  ["data_keys", "select count(*) from data_keys"],
];

/** The schema as the migrations make it: the SQL of each table and index by its name. */
export function schemaOf(
  place: Place,
  migrations: readonly Migration[],
): ReadonlyMap<string, string> {
  const connection = connect(place, { file: MEMORY });
  try {
    for (const { sql } of migrations) connection.database.exec(sql(place.dialect.types));
    return readSchema(connection);
  } finally {
    connection.close();
  }
}

/** Looks for damage of any kind that a database shows by itself: pages, tables, references, counters. A line for each. */
export function findDamage(
  connection: Connection,
  expected: ReadonlyMap<string, string>,
): string[] {
  const pages = connection.rows("pragma integrity_check").map(([line]) => String(line));
  if (pages.join() !== "ok") return pages;
  const schema = schemaFaults(readSchema(connection), expected);
  // The queries below need every table.
  if (schema.length > 0) return schema;
  const orphans = connection
    .rows("pragma foreign_key_check")
    .map(([table, , parent]) => `a row of ${table} names a missing row of ${parent}`);
  return [...orphans, ...counterFaults(connection)];
}

const readSchema = (connection: Connection): ReadonlyMap<string, string> =>
  new Map(connection.rows(SCHEMA).map(([name, sql]) => [String(name), String(sql)]));

function schemaFaults(
  found: ReadonlyMap<string, string>,
  expected: ReadonlyMap<string, string>,
): string[] {
  return [...new Set([...expected.keys(), ...found.keys()])].flatMap((name) => {
    if (!found.has(name)) return [`${name} is missing`];
    if (!expected.has(name)) return [`${name} is not one of lango's`];
    return found.get(name) === expected.get(name) ? [] : [`${name} was altered`];
  });
}

function counterFaults(connection: Connection): string[] {
  return COUNTED.flatMap(([column, sql]) => {
    // One statement, so that a commit of another process does not come in between.
    const both = `select (select ${column} from counters where id = 1), (${sql})`;
    const [counter, real] = connection.rows(both)[0] ?? [];
    return counter === real
      ? []
      : [`the counter of ${column} says ${counter ?? "nothing"}, there are ${real}`];
  });
}
