import { CryptoError } from "@lango/crypto-core";

/** A prepared statement of {@link SqliteDatabase}: the part of better-sqlite3's that the store uses. */
export interface SqliteStatement {
  get(...params: unknown[]): unknown;
  all(...params: unknown[]): unknown[];
  run(...params: unknown[]): { changes: number };
}

/** A connection: the part of better-sqlite3's `Database` that the store uses. */
export interface SqliteDatabase {
  readonly inTransaction: boolean;
  prepare(sql: string): SqliteStatement;
  exec(sql: string): unknown;
  close(): unknown;
  /** Only where there are ciphers: the key of an encrypted database. */
  key?(key: Buffer): unknown;
  /** Only where there are ciphers: encrypts every page anew; an empty key decrypts. */
  rekey?(key: Buffer): unknown;
}

/** The class that `better-sqlite3` and `better-sqlite3-multiple-ciphers` export. */
export type SqliteConstructor = new (
  /** A path, or the bytes of a database to read from memory. */
  file: string | Uint8Array,
  options: { readonly?: boolean; fileMustExist?: boolean; timeout?: number },
) => SqliteDatabase;

/** In the order of preference: the first reads encrypted databases too. */
const PACKAGES = ["better-sqlite3-multiple-ciphers", "better-sqlite3"];

/**
 * Loads the first SQLite driver that is installed. A driver that is there but broken is reported, not passed over.
 *
 * @throws {@link CryptoError} `ERR_PROVIDER_NOT_INSTALLED`.
 */
export async function loadSqlite(
  load: (specifier: string) => Promise<unknown> = (specifier) => import(specifier),
): Promise<SqliteConstructor> {
  for (const name of PACKAGES) {
    try {
      return ((await load(name)) as { default: SqliteConstructor }).default;
    } catch (error) {
      if (isMissing(error, name)) continue;
      throw new CryptoError(
        "ERR_INTERNAL",
        `The SQLite driver ${name} is installed but does not load`,
        {
          context: { hint: `Reinstall it: npm install ${name}` },
          cause: error,
        },
      );
    }
  }
  throw new CryptoError("ERR_PROVIDER_NOT_INSTALLED", "No SQLite driver is installed", {
    context: { hint: `npm install ${PACKAGES[0]}` },
  });
}

const isMissing = (error: unknown, name: string): boolean =>
  error instanceof Error &&
  "code" in error &&
  error.code === "ERR_MODULE_NOT_FOUND" &&
  error.message.includes(`'${name}'`);
