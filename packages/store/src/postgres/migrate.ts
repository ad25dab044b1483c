import { CryptoError } from "@lango/crypto-core";
import { APPLIED, checkApplied, RECORD } from "../migrate.ts";
import type { Migration } from "../migrations.ts";
import { LOCK_WRITERS } from "./begin.ts";
import type { Link, Place } from "./link.ts";
import { quote } from "./quote.ts";

/**
 * The version of the schema; undefined when there is nothing yet.
 *
 * @throws {@link CryptoError} `ERR_CONFLICT` when it is of a newer Lango; `ERR_INTEGRITY` when others made it;
 *   `ERR_ACCESS_DENIED` without the right to look into the schema.
 */
export async function inspect(
  link: Link,
  { address }: Place,
  migrations: readonly Migration[],
): Promise<number | undefined> {
  const literal = `'${address.schema.replaceAll("'", "''")}'`;
  // The catalogue answers without any right on the schema, and without the schema.
  const [tables] = await link.exec(`
    select c.relname as name, pg_catalog.has_schema_privilege(n.oid, 'usage') as open
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${literal} and c.relkind in ('r', 'p', 'v', 'm', 'f')`);
  const names = tables?.rows.map((row) => row.name) ?? [];
  if (names.length === 0) return undefined;
  // Without it every table is one that does not exist, as in a damaged schema.
  if (tables?.rows[0]?.open !== true) {
    throw new CryptoError(
      "ERR_ACCESS_DENIED",
      `${address.location}: its user may not use the schema`,
      {
        context: { hint: "The rights that are needed are in docs/postgres.md." },
      },
    );
  }
  if (!names.includes("migrations")) {
    throw new CryptoError(
      "ERR_INTEGRITY",
      `${address.location} is the schema of another application`,
      { context: { hint: "It was left as it is; choose another with ?schema= in the URL." } },
    );
  }
  const applied = await link.all(APPLIED, {});
  const version = applied.at(-1)?.version ?? 0;
  checkApplied(version, () => applied, migrations, address.location);
  return version;
}

/** Applies what is missing, each migration in one transaction. The caller holds the lock of the schema. */
export async function migrate(
  link: Link,
  place: Place,
  migrations: readonly Migration[],
): Promise<void> {
  for (;;) {
    const version = await inspect(link, place, migrations);
    const next = migrations[version ?? 0];
    if (next === undefined) return;
    const before =
      version === undefined
        ? await schemaToMake(link, place)
        : // Waits for the transactions of an older lango, which look at the version under the same lock.
          LOCK_WRITERS;
    await link.exec(`begin; ${before}`);
    try {
      await link.exec(next.sql(place.dialect.types), { withinMs: 0 });
      const { version: applied, name, checksum } = next;
      await link.run(RECORD, { version: applied, name, checksum, appliedAt: Date.now() });
      await link.exec("commit", { withinMs: 0 });
    } catch (error) {
      if (!link.lost) await link.exec("rollback");
      throw error;
    }
  }
}

/** The schema may be there, empty, made by somebody who may make schemas. */
async function schemaToMake(link: Link, place: Place): Promise<string> {
  await checkServer(link, place);
  const [schema] = await link.exec("select current_schema() is not null as found");
  return schema?.rows[0]?.found === true ? "" : `create schema ${quote(place.address.schema)}`;
}

/** What the tests run against, and older ones are no longer maintained. */
const OLDEST_SERVER = 13;

/**
 * Checks the server and the database before anything is made there.
 *
 * @throws {@link CryptoError} `ERR_CONFIG` for a database that keeps no UTF-8, or a server before version 13.
 */
export async function checkServer(link: Link, { address: { location } }: Place): Promise<void> {
  const [encoding, server] = await link.exec("show server_encoding; show server_version");
  if (encoding?.rows[0]?.server_encoding !== "UTF8") {
    throw new CryptoError("ERR_CONFIG", `The database of ${location} does not keep text as UTF-8`, {
      context: { hint: "Make one with: createdb --encoding=UTF8 --template=template0" },
    });
  }
  const version = String(server?.rows[0]?.server_version);
  if (Number.parseInt(version, 10) >= OLDEST_SERVER) return;
  throw new CryptoError(
    "ERR_CONFIG",
    `${location} is on PostgreSQL ${version}; lango needs ${OLDEST_SERVER} or later`,
    { context: { hint: "Use a newer server" } },
  );
}
