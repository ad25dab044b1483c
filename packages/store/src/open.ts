import { renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { CryptoError, isCryptoError } from "@lango/crypto-core";
import { retryBusy } from "./busy.ts";
import { type Cipher, checkCipher, DEFAULT_CIPHER_PAGE_SIZE, requireCiphers } from "./cipher.ts";
import { APPLICATION_ID, connect, openWriter, type Place } from "./connect.ts";
import type { Connection } from "./connection.ts";
import { copyDatabase } from "./copy.ts";
import { sqliteDialect } from "./dialect.ts";
import { loadSqlite, type SqliteConstructor } from "./driver.ts";
import { checkFile, createPrivate, exists, resolveFile, syncFolder, syncToDisk } from "./files.ts";
import { schemaOf } from "./integrity.ts";
import { withFileLock } from "./lock.ts";
import { backUp, checkedVersion, latestVersion, migrate, tooOld } from "./migrate.ts";
import { MIGRATIONS, type Migration } from "./migrations.ts";
import { openEncrypted } from "./open-encrypted.ts";
import { isPlain, saltOf } from "./open-files.ts";
import { openPostgres } from "./postgres/open.ts";
import { isCopyLeft, recrypt, removeCopy } from "./recrypt.ts";
import type { CipherState } from "./recrypt-types.ts";
import { mapSqliteError } from "./sqlite-errors.ts";
import { type Connections, createSqliteStore } from "./sqlite-store.ts";
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
  /** The raw key of an encrypted database, 32 bytes, copied. Then the file must be encrypted, and a new one is. */
  readonly key?: Uint8Array | undefined;
  /**
   * In place of `key`: the passphrase that another program gave to `PRAGMA key`, copied. Such a database is only opened, with the
   * defaults of SQLCipher 4; wrong: `ERR_WRONG_PASSPHRASE`.
   */
  readonly passphrase?: Uint8Array | undefined;
  /** Bytes of a page of a new encrypted database, a power of two from 1,024 to 65,536; of others it is found. Default 4,096. */
  readonly cipherPageSize?: number | undefined;
  /**
   * Mode `create`: asked under the lock whether the file that is there holds nothing and shall be made anew. Default: it stays.
   */
  readonly discard?: (() => Promise<boolean>) | undefined;
  /** Mode `create`: is given the first 16 bytes of a new file before it has its name; what it throws ends the creation. */
  readonly onMade?: ((salt: Uint8Array) => void) | undefined;
}

/** Where a PostgreSQL database is. */
export interface OpenUrlOptions extends AnyOptions {
  /**
   * `postgres://user:password@host:port/database`; `?schema=` names the schema of the tables, by default `lango`. Without a
   * password that of the variable `PGPASSWORD`. Its certificate and name are checked unless the host is this machine.
   * `ERR_CONFIG` for a faulty URL or a server that does not prove who it is, `ERR_UNAVAILABLE` when it cannot be reached
   * within `busyTimeoutMs`, `ERR_ACCESS_DENIED` when it refuses the user.
   */
  readonly url: string;
}

/** Options of {@link openStore}. */
export type OpenStoreOptions = OpenFileOptions | OpenUrlOptions;

const DEFAULT_BUSY_MS = 5_000;

/**
 * Opens a database and brings it up to date, keeping a backup of a file from before.
 *
 * @throws {@link CryptoError}
 *   - `ERR_NOT_FOUND`: no such file or tables (`open`, `read`), or no such folder or database.
 *   - `ERR_INTEGRITY`: damaged, truncated, or not Lango's; the file is left as it is.
 *   - `ERR_CONFLICT`: written by a newer Lango; both versions are named. Or an older one in mode `read`.
 *   - `ERR_CONFIG`: file or folder open to others; the hint has the chmod line.
 *   - `ERR_PROVIDER_NOT_INSTALLED`: no SQLite driver, or with `key` none that can encrypt; the hint has the command.
 *   - `ERR_LOCKED`: the file is encrypted, and there is no `key`. `ERR_CONFIG`: there is a `key`, and the file is in plaintext.
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
  let cipher: Cipher | undefined;
  try {
    const file = resolveFile(options.file);
    cipher = cipherOf(sqlite, options);
    const wanted: Place = { file, sqlite, dialect: sqliteDialect(), timeoutMs, cipher };
    if (mode === "create") await createMissing(wanted, migrations, options);
    if (mode !== "read" && isCopyLeft(file)) await removeDeadCopy(wanted);
    checkNotEmpty(file, checkFile(file));
    const first = await openChecked(wanted, mode, migrations);
    let { place } = first;
    return createSqliteStore({
      file,
      version: latestVersion(migrations),
      connections: connectionsOf(first),
      readOnly: mode === "read",
      recrypt: async ({ key, cipherPageSize, onStage = () => undefined }) => {
        const pageSize = cipherPageSize ?? place.cipher?.pageSize;
        const next = cipherOf(sqlite, { key, cipherPageSize: pageSize });
        return recrypt({
          ...{ place, cipher: next },
          onStage: (stage) => {
            if (stage === "renamed") {
              place.cipher?.key.fill(0);
              place = { ...place, cipher: next };
            }
            onStage(stage);
          },
        });
      },
      reopen: async () => {
        const again = await openChecked(place, mode, migrations);
        place = again.place;
        return connectionsOf(again);
      },
      withLock: (run, { waitMs = timeoutMs } = {}) =>
        withFileLock({ ...place, timeoutMs: waitMs }, run),
      // The connection of the reads may not even write another file.
      copyTo: (to) => withConnection(place, (connection) => copyDatabase(connection, to)),
      expectedSchema: () => schemaOf(place, migrations),
      timeoutMs,
      dispose: () => place.cipher?.key.fill(0),
    });
  } catch (error) {
    cipher?.key.fill(0);
    throw mapSqliteError(error, options.file);
  }
}

interface KeyOptions {
  readonly key?: Uint8Array | undefined;
  readonly passphrase?: Uint8Array | undefined;
  readonly cipherPageSize?: number | undefined;
}

/** The cipher of a key, with a copy of it, for a driver that has one. */
function cipherOf(
  sqlite: SqliteConstructor,
  { key, passphrase, cipherPageSize: pageSize = DEFAULT_CIPHER_PAGE_SIZE }: KeyOptions,
): Cipher | undefined {
  const given = key ?? passphrase;
  if (given === undefined) return undefined;
  const cipher: Cipher = { key: given.slice(), pageSize, isPassphrase: key === undefined };
  checkCipher(cipher);
  requireCiphers(sqlite);
  return cipher;
}

interface Opened {
  readonly place: Place;
  readonly reader: Connection;
}

const connectionsOf = ({ place, reader }: Opened): Connections => ({
  reader,
  openWriter: () => openWriter(place),
  cipher: place.cipher && stateOf(place.cipher),
});

const stateOf = ({ pageSize, isPassphrase }: Cipher): CipherState => ({
  pageSize,
  ...(isPassphrase ? { isPassphrase } : {}),
});

/** Opens the file for reading, with the schema of now. */
async function openChecked(
  wanted: Place,
  mode: OpenFileOptions["mode"],
  migrations: readonly Migration[],
): Promise<Opened> {
  const opened = await openEncrypted(wanted, mode);
  const { place, reader } = opened;
  try {
    const { file, timeoutMs } = place;
    const version = await retryBusy(timeoutMs, () => checkedVersion(reader, migrations, file));
    if (version < latestVersion(migrations)) {
      if (mode === "read") throw tooOld(file);
      await withFileLock(place, () => upgrade(place, migrations));
    }
    return opened;
  } catch (error) {
    reader.close();
    throw error;
  }
}

async function createMissing(
  place: Place,
  migrations: readonly Migration[],
  { discard, onMade }: Pick<OpenFileOptions, "discard" | "onMade">,
): Promise<void> {
  const { file } = place;
  if (exists(file) && discard === undefined) return;
  await withFileLock(place, async () => {
    if (exists(file) && (await discard?.())) {
      // The log first: without its database it would be taken for all that is left.
      for (const suffix of ["-wal", "-shm", ""]) rmSync(file + suffix, { force: true });
    }
    await create(place, migrations, onMade);
  });
}

/** What a change of the encryption left that was killed. One that runs holds the lock, and removes it itself. */
async function removeDeadCopy(place: Place): Promise<void> {
  try {
    await withFileLock({ ...place, timeoutMs: 0 }, async () => removeCopy(place.file));
  } catch (error) {
    if (!isCryptoError(error) || error.code !== "ERR_CONFLICT") throw error;
  }
}

/** Makes the database under another name, so that one with its own name is always whole. Runs under the lock. */
async function create(
  place: Place,
  migrations: readonly Migration[],
  onMade: OpenFileOptions["onMade"],
): Promise<void> {
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
    connection.close();
  }
  if (place.cipher !== undefined && isPlain(unfinished)) {
    throw new CryptoError("ERR_INTERNAL", "The SQLite driver wrote plaintext in spite of the key");
  }
  syncToDisk(unfinished);
  onMade?.(saltOf(unfinished));
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
    connection.close();
  }
}

function withConnection(place: Place, use: (connection: Connection) => void): void {
  const connection = connect(place, { file: place.file });
  try {
    use(connection);
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
