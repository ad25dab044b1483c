import { COUNTED } from "../integrity.ts";
import type { Migration } from "../migrations.ts";
import type { Link, Place } from "./link.ts";

/** What names what, as the migrations declare it; looked at also where somebody has switched the server's own check off. */
const REFERENCES = [
  ["key_versions", "key_id", "keys"],
  ["data_keys", "key_id", "keys"],
  ["secrets", "key_id", "keys"],
  ["secret_versions", "secret_id", "secrets"],
  ["secret_versions", "data_key_id", "data_keys"],
] as const;

/** Whatever acts on rows, or should, by its kind and name; "!" when it is not in force. */
const OBJECTS = `
  with here as (select oid from pg_catalog.pg_namespace where nspname = current_schema())
  select case c.relkind when 'i' then 'index ' else 'table ' end || c.relname
         || case when i.indisvalid = false then '!' else '' end as name
    from pg_catalog.pg_class c left join pg_catalog.pg_index i on i.indexrelid = c.oid
    where c.relnamespace = (table here) and c.relkind in ('r', 'p', 'v', 'm', 'f', 'i')
  union all
  select 'trigger ' || t.tgname
    from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid
    where c.relnamespace = (table here) and not t.tgisinternal
  union all
  select 'rule ' || r.rulename
    from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class
    where c.relnamespace = (table here) and c.relkind <> 'v'`;

/** Looks for missing and foreign tables, indexes and triggers, and for rows that contradict each other. A line for each. */
export async function findDamage(
  link: Link,
  place: Place,
  migrations: readonly Migration[],
): Promise<string[]> {
  const ask = async (sql: string) => (await link.exec(sql, { withinMs: 0 }))[0]?.rows ?? [];
  const expected = namesIn(migrations.map(({ sql }) => sql(place.dialect.types)).join(""));
  const found = new Set((await ask(OBJECTS)).map((row) => String(row.name)));
  const schema = [...new Set([...expected, ...found])].flatMap((name) => {
    if (name.endsWith("!")) return [`${name.slice(0, -1)} is not valid`];
    if (!found.has(name) && !found.has(`${name}!`)) return [`${name} is missing`];
    // Indexes of the server's own, for keys.
    if (expected.has(name) || /^index \w+_(?:pkey|key)$/.test(name)) return [];
    return [`${name} is not one of lango's`];
  });
  // The queries below need every table.
  if (schema.length > 0) return schema;
  const faults: string[] = [];
  for (const [table, column, parent] of REFERENCES) {
    const orphans = await ask(
      `select 1 from ${table} t where not exists (select 1 from ${parent} p where p.id = t.${column}) limit 1`,
    );
    if (orphans.length > 0) faults.push(`a row of ${table} names a missing row of ${parent}`);
  }
  for (const [column, sql] of COUNTED) {
    // One statement, so that a commit of another process does not come in between.
    const [row] = await ask(
      `select (select ${column} from counters where id = 1) as counter, (${sql}) as real`,
    );
    if (row?.counter === row?.real) continue;
    faults.push(
      `the counter of ${column} says ${row?.counter ?? "nothing"}, there are ${row?.real}`,
    );
  }
  return faults;
}

/** The tables and indexes that SQL makes. */
const namesIn = (sql: string): ReadonlySet<string> =>
  new Set(
    [...sql.matchAll(/create (?:unique )?(table|index) (\w+)/g)].map(
      ([, kind, name]) => `${kind} ${name}`,
    ),
  );
