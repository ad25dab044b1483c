import { accessSync, constants, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { CryptoError } from "@lango/crypto-core";
import { retryBusy } from "./busy.ts";
import { Connection } from "./connection.ts";
import { type Dialect, sqliteDialect } from "./dialect.ts";
import { loadSqlite, type SqliteConstructor, type SqliteDatabase } from "./driver.ts";
import { checkFile, createPrivate, exists, resolveFile, syncToDisk } from "./files.ts";
import { type LockOptions, withFileLock } from "./lock.ts";
import { backUp, checkedVersion, latestVersion, migrate } from "./migrate.ts";
import { MIGRATIONS, type Migration } from "./migrations.ts";
import { mapSqliteError } from "./sqlite-errors.ts";
import { createSqliteStore } from "./sqlite-store.ts";
import type { Store } from "./store.ts";

/** Options of {@link openStore}. */
export interface OpenStoreOptions {
  /** The database file. Its folder must exist and belong to the owner alone (mode 0700); the file has mode 0600. */
  readonly file: string;
  /**
   * - `create`: makes the file, whole or not at all; one that is there is opened as it is (look at `vault.get()`).
   * - `open`: reads and writes an existing file.
   * - `read`: never writes a row and creates no database; works without write access too.
   */
  readonly mode: "create" | "open" | "read";
  /** Default: `better-sqlite3-multiple-ciphers`, then `better-sqlite3`, whichever is installed. */
  readonly sqlite?: SqliteConstructor;
  /** How long to wait for other processes, in milliseconds. Default 5,000. */
  readonly busyTimeoutMs?: number;
}

const DEFAULT_BUSY_MS = 5_000;

/** "LNGO": marks a database as ours (https://sqlite.org/pragma.html#pragma_application_id). */
const APPLICATION_ID = 0x4c4e474f;

/**
 * On every connection. SQLite otherwise writes sorts as plaintext to the temporary folder and leaves deleted rows in
 * the file; the last two distrust the schema and the pages of a file that someone else may have made.
 */
const PRAGMAS = `
pragma temp_store = memory;
pragma secure_delete = on;
pragma foreign_keys = on;
pragma trusted_schema = off;
pragma cell_size_check = on;
`;

interface Opening {
  readonly file: string;
  readonly sqlite: SqliteConstructor;
  readonly dialect: Dialect;
  readonly migrations: readonly Migration[];
  readonly timeoutMs: number;
}

/**
 * Opens a database and brings it up to date, keeping a backup of it from before.
 *
 * @throws {@link CryptoError}
 *   - `ERR_NOT_FOUND`: no such file (`open`, `read`), or no such folder.
 *   - `ERR_INTEGRITY`: damaged, truncated, or not Lango's; the file is left as it is.
 *   - `ERR_CONFLICT`: written by a newer Lango; both versions are named. Or an older one in mode `read`.
 *   - `ERR_CONFIG`: file or folder open to others; the hint has the chmod line.
 *   - `ERR_PROVIDER_NOT_INSTALLED`: no SQLite driver; the hint has the command.
 *   - `ERR_ACCESS_DENIED`, `ERR_UNAVAILABLE`, `ERR_BUSY`: the file cannot be read or written now.
 */
export const openStore = (options: OpenStoreOptions): Promise<Store> =>
  openWithMigrations(options, MIGRATIONS);

/** {@link openStore} with another list of migrations, for the tests of migrating. */
export async function openWithMigrations(
  options: OpenStoreOptions,
  migrations: readonly Migration[],
): Promise<Store> {
  const { mode } = options;
  const opening: Opening = {
    file: resolveFile(options.file),
    sqlite: options.sqlite ?? (await loadSqlite()),
    dialect: sqliteDialect(),
    migrations,
    timeoutMs: options.busyTimeoutMs ?? DEFAULT_BUSY_MS,
  };
  const { file } = opening;
  const lock: LockOptions = { file, sqlite: opening.sqlite, timeoutMs: opening.timeoutMs };
  try {
    if (mode === "create" && !exists(file)) await withFileLock(lock, () => create(opening));
    checkNotEmpty(file, checkFile(file));
    const reader = await openReader(opening, mode);
    try {
      if (checkedVersion(reader, migrations, file) < latestVersion(migrations)) {
        if (mode === "read") throw tooOld(file);
        await withFileLock(lock, () => upgrade(opening));
      }
    } catch (error) {
      reader.database.close();
      throw error;
    }
    return createSqliteStore({
      file,
      version: latestVersion(migrations),
      reader,
      openWriter: mode === "read" ? undefined : () => openWriter(opening),
      withLock: (run) => withFileLock(lock, run),
      timeoutMs: opening.timeoutMs,
    });
  } catch (error) {
    throw mapSqliteError(error, file);
  }
}

/** Makes the database under another name, so that one with its own name is always whole. Runs under the lock. */
async function create(opening: Opening): Promise<void> {
  const { file, dialect, migrations, timeoutMs } = opening;
  if (exists(file)) return;
  if (exists(`${file}-wal`)) {
    // SQLite would replay it into the new database; and it may be all that is left of the old one.
    throw new CryptoError("ERR_INTEGRITY", `${file} is missing, but its log ${file}-wal is there`, {
      context: { hint: "Restore the database, or move the log away." },
    });
  }
  const unfinished = `${file}.new`;
  for (const suffix of ["", "-journal", "-wal", "-shm"])
    rmSync(unfinished + suffix, { force: true });
  createPrivate(unfinished);
  const connection = connect(opening, { file: unfinished });
  try {
    connection.database.exec(`pragma application_id = ${APPLICATION_ID}`);
    await migrate(connection, dialect, migrations, { file: unfinished, timeoutMs });
    connection.database.exec("pragma journal_mode = wal");
  } finally {
    connection.database.close();
  }
  syncToDisk(unfinished);
  renameSync(unfinished, file);
  syncToDisk(dirname(file));
}

async function upgrade(opening: Opening): Promise<void> {
  const { file, dialect, migrations, timeoutMs } = opening;
  const connection = connect(opening, { file });
  try {
    const version = checkedVersion(connection, migrations, file);
    if (version === latestVersion(migrations)) return;
    backUp(connection, file, version);
    await migrate(connection, dialect, migrations, { file, timeoutMs });
  } finally {
    connection.database.close();
  }
}

function openWriter(opening: Opening): Connection {
  const connection = connect(opening, { file: opening.file });
  // It is in WAL mode from birth; a tool may have changed that.
  connection.database.exec("pragma journal_mode = wal");
  return connection;
}

function openReader(opening: Opening, mode: OpenStoreOptions["mode"]): Promise<Connection> {
  const { file, timeoutMs } = opening;
  const readonly = mode === "read" && !isWritable(file);
  return retryBusy(timeoutMs, () => {
    if (readonly && !exists(`${file}-wal`)) return identified(connectSnapshot(opening), file);
    const connection = connect(opening, { file, readonly });
    // A connection that may write tidies up -wal and -shm when it is the last; it must still write no row.
    connection.database.exec("pragma query_only = on");
    return identified(connection, file);
  });
}

const isWritable = (file: string): boolean =>
  [file, dirname(file)].every((path) => {
    try {
      accessSync(path, constants.W_OK);
      return true;
    } catch {
      return false;
    }
  });

/**
 * Without write access SQLite cannot make the -shm file that WAL mode needs. A database that is at rest is then read
 * into memory whole, marked in its header (bytes 18 and 19) as one without a log.
 */
function connectSnapshot(opening: Opening): Connection {
  const { file } = opening;
  const before = statSync(file);
  const bytes = readFileSync(file);
  if (statSync(file).mtimeMs !== before.mtimeMs || exists(`${file}-wal`)) {
    throw new CryptoError("ERR_BUSY", `${file} was changed while it was read`);
  }
  bytes.fill(1, 18, 20);
  return connect(opening, { file: bytes, readonly: true });
}

function connect(
  { sqlite, dialect }: Opening,
  { file, readonly = false }: { file: string | Uint8Array; readonly?: boolean },
): Connection {
  const fileMustExist = typeof file === "string";
  const database = new sqlite(file, { readonly, fileMustExist, timeout: 0 });
  return new Connection(configured(database), dialect);
}

function configured(database: SqliteDatabase): SqliteDatabase {
  try {
    database.exec(PRAGMAS);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Refuses a database of another application. Also the first read: a file that is no database shows itself here. */
function identified(connection: Connection, file: string): Connection {
  try {
    const id = connection.rows("pragma application_id")[0]?.[0];
    if (id === APPLICATION_ID) return connection;
    throw new CryptoError("ERR_INTEGRITY", `${file} is a database of another application`, {
      context: { hint: "It was left as it is." },
    });
  } catch (error) {
    connection.database.close();
    throw error;
  }
}

/** Not left to SQLite: to it an empty file is an empty database, and it would delete the log beside it. */
function checkNotEmpty(file: string, size: number): void {
  if (size > 0) return;
  throw new CryptoError("ERR_INTEGRITY", `${file} is empty: it was truncated`, {
    context: { hint: "It was left as it is; restore a backup." },
  });
}

const tooOld = (file: string): CryptoError =>
  new CryptoError(
    "ERR_CONFLICT",
    `${file} was written by an older lango and has yet to be migrated`,
    {
      context: { hint: "Run a command that opens the vault once." },
    },
  );
