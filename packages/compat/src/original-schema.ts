import { CryptoError } from "@lango/crypto-core";
import type { ForeignDatabase } from "@lango/store";
import type { OriginalSecret } from "./original-types.ts";

/** The tables that are read, with the columns that they must have; others may have come since. */
const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  keys: ["id", "name", "remote_key_id"],
  secrets: [
    ...["id", "name", "encrypted_value", "created_at", "updated_at", "access_count", "key_secrets"],
  ],
};
/** The same of tables that need not be there. */
const OPTIONAL: Readonly<Record<string, readonly string[]>> = {
  security_config: ["name", "value"],
  config_profiles: ["name"],
};
const READ_TABLES = [...Object.keys(COLUMNS), ...Object.keys(OPTIONAL)];

/** What the default row of `security_config` holds; both absent in a database that began with an envelope. */
export interface SecurityState {
  readonly salt: Uint8Array | undefined;
  readonly checksum: Uint8Array | undefined;
}

/** The rows of a database of the original, unchecked but for their shape. */
export interface OriginalRows {
  readonly secrets: readonly OriginalSecret[];
  readonly profiles: readonly string[];
  readonly tables: Readonly<Record<string, number>>;
  readonly security: SecurityState;
  /** nonce (12) ‖ ciphertext ‖ tag (16) of a secret; `undefined` when the row holds no bytes. */
  sealed(name: string): Uint8Array | undefined;
}

/** @throws CryptoError `ERR_INTEGRITY` for a database of another program, and a damaged one; `ERR_CONFLICT` for one of this Lango. */
export function readRows(database: ForeignDatabase, file: string): OriginalRows {
  if (database.isOurs) {
    throw new CryptoError("ERR_CONFLICT", `${file} is a database of this Lango already`);
  }
  const names = tablesOf(database);
  const optional = Object.entries(OPTIONAL).filter(([table]) => names.has(table));
  for (const [table, columns] of [...Object.entries(COLUMNS), ...optional]) {
    const found = names.has(table) ? columnsOf(database, table) : new Set();
    const missing = columns.find((column) => !found.has(column));
    if (missing !== undefined) {
      throw new CryptoError(
        "ERR_INTEGRITY",
        `${file} is a database of another application: it has no ${table}.${missing}`,
        { context: { hint: "It was left as it is." } },
      );
    }
  }
  checkPages(database, file, names);
  return {
    secrets: secretsOf(database, file),
    profiles: names.has("config_profiles") ? profilesOf(database) : [],
    tables: countsOf(database, names),
    security: names.has("security_config") ? securityOf(database) : NO_STATE,
    sealed: (name) => {
      const [row] = database.rows(
        "select encrypted_value as sealed from secrets where name = ?",
        name,
      );
      return bytesOrNone(row?.["sealed"]);
    },
  };
}

/** Ordinary tables: a virtual one needs an extension to be looked at, and is made of ordinary ones. */
const tablesOf = (database: ForeignDatabase): Set<string> =>
  new Set(
    database
      .rows("pragma table_list")
      .filter(({ schema, type }) => schema === "main" && type === "table")
      .map(({ name }) => String(name))
      .filter((name) => !name.startsWith("sqlite_")),
  );

/** Stored ones: to compute one may take any time. As a statement: a table may have the name of its function. */
const columnsOf = (database: ForeignDatabase, table: string): Set<unknown> =>
  new Set(database.rows(`pragma table_info("${table}")`).map(({ name }) => name));

/** What is read must be whole: a page that is lost would take secrets with it that nobody misses. */
function checkPages(database: ForeignDatabase, file: string, names: ReadonlySet<string>): void {
  for (const table of READ_TABLES.filter((name) => names.has(name))) {
    const [fault] = database.rows(`pragma integrity_check("${table}")`).flatMap(Object.values);
    if (fault === "ok") continue;
    // It has more lines than one, and may name what the file calls so.
    const said = String(fault).replaceAll(/\s+/g, " ").slice(0, 200).toWellFormed();
    throw new CryptoError("ERR_INTEGRITY", `${file} is damaged: ${said}`, {
      context: { hint: "It was left as it is; restore a backup." },
    });
  }
}

function secretsOf(database: ForeignDatabase, file: string): OriginalSecret[] {
  const rows = database.rows(`
    select s.name, s.created_at, s.updated_at, s.access_count, k.name as key_name, k.remote_key_id
    from secrets s left join keys k on k.id = s.key_secrets order by s.name`);
  return rows.map((row): OriginalSecret => {
    const name = row["name"];
    if (typeof name !== "string" || !name.isWellFormed()) {
      throw new CryptoError("ERR_INTEGRITY", `${file} has a secret whose name is no text`);
    }
    return {
      name,
      key: {
        name: String(row["key_name"] ?? "none"),
        remoteId: String(row["remote_key_id"] ?? "none"),
      },
      createdAt: timeOf(row["created_at"]),
      updatedAt: timeOf(row["updated_at"]),
      uses: Number(row["access_count"]),
    };
  });
}

/** As Go writes it: date, time with up to nine decimals, and the distance from UTC. */
const TIME = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d{1,9})? ?(Z|[+-]\d\d:?\d\d)/;

function timeOf(value: unknown): number | undefined {
  const found = typeof value === "string" ? TIME.exec(value) : null;
  if (found === null) return undefined;
  const [, date, time, fraction = "", zone] = found;
  const parsed = Date.parse(`${date}T${time}${fraction.slice(0, 4)}${zone}`);
  return Number.isNaN(parsed) ? undefined : parsed;
}

const profilesOf = (database: ForeignDatabase): string[] =>
  database.rows("select name from config_profiles order by name").map(({ name }) => String(name));

const countsOf = (
  database: ForeignDatabase,
  names: ReadonlySet<string>,
): Readonly<Record<string, number>> =>
  Object.fromEntries(
    [...names]
      .filter((name) => !READ_TABLES.includes(name))
      .sort()
      .map((name): [string, number] => {
        const quoted = name.replaceAll('"', '""');
        const [row] = database.rows(`select count(*) as count from "${quoted}"`);
        return [name, Number(row?.["count"])];
      })
      .filter(([, count]) => count > 0),
  );

const NO_STATE: SecurityState = { salt: undefined, checksum: undefined };

function securityOf(database: ForeignDatabase): SecurityState {
  // The column of the checksum came later.
  const checksum = columnsOf(database, "security_config").has("checksum") ? "checksum" : "null";
  const [row] = database.rows(
    `select value, ${checksum} as checksum from security_config where name = 'default'`,
  );
  return { salt: bytesOrNone(row?.["value"]), checksum: bytesOrNone(row?.["checksum"]) };
}

const bytesOrNone = (value: unknown): Uint8Array | undefined =>
  value instanceof Uint8Array ? value : undefined;
