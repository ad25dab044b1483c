import { readFileSync } from "node:fs";
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

/** How a package is imported; tests give another. */
export type Load = (specifier: string) => Promise<unknown>;

const importPackage: Load = (specifier) => import(specifier);

/**
 * Loads the first SQLite driver that is installed.
 *
 * @throws {@link CryptoError} `ERR_PROVIDER_NOT_INSTALLED`.
 */
export async function loadSqlite(load: Load = importPackage): Promise<SqliteConstructor> {
  const built = builtDriver();
  for (const name of [...(built === undefined ? [] : [built]), ...PACKAGES]) {
    const module = await loadDriver(name, load);
    if (module !== undefined) return (module as { default: SqliteConstructor }).default;
  }
  throw new CryptoError("ERR_PROVIDER_NOT_INSTALLED", "No SQLite driver is installed", {
    context: { hint: `npm install ${PACKAGES[0]}` },
  });
}

/**
 * The entry of the first driver for this machine alone. Its main entry has Node write a diagnostic report, which takes
 * milliseconds, to tell musl from glibc; that shows in what is mapped. `undefined` where nothing tells.
 */
function builtDriver(): string | undefined {
  const { platform, arch } = process;
  let libc = "";
  try {
    if (platform === "linux" && readFileSync("/proc/self/maps", "latin1").includes("/ld-musl-")) {
      libc = "musl";
    }
  } catch {
    return undefined;
  }
  return `${PACKAGES[0]}/${platform}${libc}-${arch}`;
}

/** A driver's module; undefined when it is not installed. One that is there but broken is reported, not passed over. */
export async function loadDriver(name: string, load: Load = importPackage): Promise<unknown> {
  try {
    return await load(name);
  } catch (error) {
    if (isMissing(error, name)) return undefined;
    throw new CryptoError(
      "ERR_INTERNAL",
      `The database driver ${name} is installed but does not load`,
      {
        context: { hint: `Reinstall it: npm install ${packageOf(name)}` },
        cause: error,
      },
    );
  }
}

const isMissing = (error: unknown, name: string): boolean =>
  error instanceof Error &&
  "code" in error &&
  (error.code === "ERR_PACKAGE_PATH_NOT_EXPORTED" ||
    (error.code === "ERR_MODULE_NOT_FOUND" && error.message.includes(`'${packageOf(name)}'`)));

/** Without the path of an entry; no package here has a scope. */
const packageOf = (name: string): string => name.split("/")[0] ?? name;
