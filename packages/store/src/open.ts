import { renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { CryptoError } from "@lango/crypto-core";
import { retryBusy } from "./busy.ts";
import { APPLICATION_ID, connect, openReader, openWriter, type Place } from "./connect.ts";
import { sqliteDialect } from "./dialect.ts";
import { loadSqlite, type SqliteConstructor } from "./driver.ts";
import { checkFile, createPrivate, exists, resolveFile, syncFolder, syncToDisk } from "./files.ts";
import { schemaOf } from "./integrity.ts";
import { withFileLock } from "./lock.ts";
import { backUp, checkedVersion, latestVersion, migrate, tooOld } from "./migrate.ts";
import { MIGRATIONS, type Migration } from "./migrations.ts";
import { openPostgres } from "./postgres/open.ts";
import { mapSqliteError } from "./sqlite-errors.ts";
import { createSqliteStore } from "./sqlite-store.ts";
import type { Store } from "./store.ts";

interface AnyOptions {
  /**
   * - `create`: makes the database, whole or not at all; one that is there is opened as it is (look at `vault.get()`).
   * - `open`: reads and writes an existing one.
   * - `read`: never writes a row and creates no database; works without write access too.
   */
  readonly mode: "create" | "open" | "read";
  /** How long to wait for other processes, in milliseconds. Default 5,000. */
  readonly busyTimeoutMs?: number;
}

/** Where a SQLite database is. */
export interface OpenFileOptions extends AnyOptions {
  /** The database file. Its folder must exist and belong to the owner alone (mode 0700); the file has mode 0600. */
  readonly file: string;
  /** Default: `better-sqlite3-multiple-ciphers`, then `better-sqlite3`, whichever is installed. */
  readonly sqlite?: SqliteConstructor;
}

/** Where a PostgreSQL database is. */
export interface OpenUrlOptions extends AnyOptions {
  /** `postgres://user:password@host:port/database`; `?schema=` names the schema of the tables, by default `lango`. */
  readonly url: string;
}

/** Options of {@link openStore}. */
export type OpenStoreOptions = OpenFileOptions | OpenUrlOptions;

const DEFAULT_BUSY_MS = 5_000;

/**
 * Opens a database and brings it up to date, keeping a backup of it from before.
 *
 * @throws {@link CryptoError}
 *   - `ERR_NOT_FOUND`: no such file (`open`, `read`), or no such folder.
 *   - `ERR_INTEGRITY`: damaged, truncated, or not Lango's; the file is left as it is.
 *   - `ERR_CONFLICT`: written by a newer Lango; both versions are named. Or an older one in mode `read`.
 *   - `ERR_CONFIG`: file or folder open to others; the hint has the chmod line.
 *   - `ERR_PROVIDER_NOT_INSTALLED`: no SQLite driver; the hint has the command.
 *   - `ERR_ACCESS_DENIED`, `ERR_BUSY`: the file cannot be read or written now.
 */
export const openStore = (options: OpenStoreOptions): Promise<Store> =>
  openWithMigrations(options, MIGRATIONS);

/** {@link openStore} with another list of migrations, for the tests of migrating. */
export const openWithMigrations = (
  options: OpenStoreOptions,
  migrations: readonly Migration[],
): Promise<Store> =>
  "url" in options
    ? openPostgres(options, migrations, options.busyTimeoutMs ?? DEFAULT_BUSY_MS)
    : openFile(options, migrations);

async function openFile(
  options: OpenFileOptions,
  migrations: readonly Migration[],
): Promise<Store> {
  const { mode, busyTimeoutMs: timeoutMs = DEFAULT_BUSY_MS } = options;
  const sqlite = options.sqlite ?? (await loadSqlite());
  try {
    const file = resolveFile(options.file);
    const place: Place = { file, sqlite, dialect: sqliteDialect(), timeoutMs };
    if (mode === "create" && !exists(file))
      await withFileLock(place, () => create(place, migrations));
    checkNotEmpty(file, checkFile(file));
    const reader = await openReader(place, mode);
    try {
      const version = await retryBusy(timeoutMs, () => checkedVersion(reader, migrations, file));
      if (version < latestVersion(migrations)) {
        if (mode === "read") throw tooOld(file);
        await withFileLock(place, () => upgrade(place, migrations));
      }
    } catch (error) {
      reader.database.close();
      throw error;
    }
    return createSqliteStore({
      file,
      version: latestVersion(migrations),
      reader,
      readOnly: mode === "read",
      openWriter: () => openWriter(place),
      withLock: (run, { waitMs = timeoutMs } = {}) =>
        withFileLock({ ...place, timeoutMs: waitMs }, run),
      expectedSchema: () => schemaOf(place, migrations),
      timeoutMs,
    });
  } catch (error) {
    throw mapSqliteError(error, options.file);
  }
}

/** Makes the database under another name, so that one with its own name is always whole. Runs under the lock. */
async function create(place: Place, migrations: readonly Migration[]): Promise<void> {
  const { file, dialect, timeoutMs } = place;
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
  const connection = connect(place, { file: unfinished });
  try {
    connection.database.exec(`pragma application_id = ${APPLICATION_ID}`);
    await migrate(connection, dialect, migrations, { file: unfinished, timeoutMs });
    connection.database.exec("pragma journal_mode = wal");
  } finally {
    connection.database.close();
  }
  syncToDisk(unfinished);
  renameSync(unfinished, file);
  syncFolder(dirname(file));
}

async function upgrade(place: Place, migrations: readonly Migration[]): Promise<void> {
  const { file, dialect, timeoutMs } = place;
  const connection = connect(place, { file });
  try {
    const version = checkedVersion(connection, migrations, file);
    if (version === latestVersion(migrations)) return;
    backUp(connection, file, version);
    await migrate(connection, dialect, migrations, { file, timeoutMs });
  } finally {
    connection.database.close();
  }
}

/** Not left to SQLite: to it an empty file is an empty database, and it would delete the log beside it. */
function checkNotEmpty(file: string, size: number): void {
  if (size > 0) return;
  throw new CryptoError("ERR_INTEGRITY", `${file} is empty: it was truncated`, {
    context: { hint: "It was left as it is; restore a backup." },
  });
}
