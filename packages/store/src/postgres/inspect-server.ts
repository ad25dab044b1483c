import { CryptoError } from "@lango/crypto-core";
import { retry } from "../busy.ts";
import { postgresDialect } from "../dialect.ts";
import { MIGRATIONS } from "../migrations.ts";
import type { OpenUrlOptions } from "../open.ts";
import { parseAddress } from "./address.ts";
import { loadPg } from "./driver.ts";
import { LIMITS, Link, type Place, PreparedStatements, READ_ONLY, whileLost } from "./link.ts";
import { checkServer, inspect } from "./migrate.ts";

/** What {@link inspectServer} found. */
export interface ServerState {
  /** The URL without its password. */
  readonly location: string;
  /** Version of PostgreSQL, e.g. `15.5`. */
  readonly server: string;
  /** The user, as the server knows it. */
  readonly role: string;
  /** Whether the connection is encrypted, which it need not be on this machine. */
  readonly tls: boolean;
  /** Version of lango's tables; `undefined` when there are none, and the first opening makes them. */
  readonly schemaVersion: number | undefined;
}

/** Of the role: to make what is missing, or to empty and fill what is there, as a move does. */
const RIGHTS = `
  with here as (select oid from pg_catalog.pg_namespace where nspname = current_schema()),
    tables as (select c.oid from pg_catalog.pg_class c where c.relnamespace = (table here) and c.relkind in ('r', 'p'))
  select current_setting('server_version') as server, current_user as role,
    (select ssl from pg_catalog.pg_stat_ssl where pid = pg_backend_pid()) as tls,
    case
      when not exists (table here) then pg_catalog.has_database_privilege(current_database(), 'create')
      when not exists (table tables) then pg_catalog.has_schema_privilege((table here), 'create')
      else (select bool_and(pg_catalog.has_table_privilege(oid, 'insert') and pg_catalog.has_table_privilege(oid, 'delete')) from tables)
    end as may`;

/**
 * Looks whether a vault can be moved into a database: whether it can be reached, is as it must be, and the role has the rights
 * for it. Changes nothing.
 *
 * @throws {@link CryptoError} as `openStore` with mode `create`; `ERR_ACCESS_DENIED` when the role lacks rights.
 */
export const inspectServer = async ({
  url,
  busyTimeoutMs: timeoutMs,
}: Required<Pick<OpenUrlOptions, "url" | "busyTimeoutMs">>): Promise<ServerState> => {
  const address = parseAddress(url);
  const dialect = postgresDialect();
  const prepared = new PreparedStatements(dialect);
  const Client = await loadPg();
  const place: Place = { address, dialect, timeoutMs, limits: LIMITS, prepared, Client };
  const link = await retry(whileLost(place), () => Link.open(place));
  try {
    await link.exec(READ_ONLY);
    await checkServer(link, place);
    const schemaVersion = await inspect(link, place, MIGRATIONS);
    const [found] = await link.exec(RIGHTS);
    const { server, role, tls, may } = found?.rows[0] ?? {};
    if (may !== true) throw lacksRights(address.location, role, schemaVersion);
    return { location: address.location, server: server.split(" ")[0], role, tls, schemaVersion };
  } finally {
    await link.close();
  }
};

const lacksRights = (
  location: string,
  role: string,
  schemaVersion: number | undefined,
): CryptoError =>
  new CryptoError(
    "ERR_ACCESS_DENIED",
    `${location}: the role ${role} may not ${schemaVersion === undefined ? "make tables there" : "empty and fill its tables"}`,
    { context: { hint: "The owner's role is needed: see docs/postgres.md" } },
  );
