import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { CryptoError } from "@lango/crypto-core";
import { retryBusy } from "./busy.ts";
import { type Cipher, useCipher } from "./cipher.ts";
import { Connection } from "./connection.ts";
import type { Dialect } from "./dialect.ts";
import type { SqliteConstructor, SqliteDatabase } from "./driver.ts";
import { exists } from "./files.ts";
import { fileId, isSameFile, noteOpen } from "./open-files.ts";

/** "LNGO": marks a database as ours (https://sqlite.org/pragma.html#pragma_application_id). */
export const APPLICATION_ID = 0x4c4e474f;

/**
 * On every connection. SQLite otherwise writes sorts as plaintext to the temporary folder and leaves deleted rows in
 * the file. `trusted_schema` and `cell_size_check` distrust a file that someone else may have made. `fullfsync`: on macOS
 * a plain fsync does not reach the disk; elsewhere it does nothing. `cache_size` is 4 MB: two connections of 16 are most of what
 * work on all rows may take.
 */
const PRAGMAS = `
pragma temp_store = memory;
pragma secure_delete = on;
pragma foreign_keys = on;
pragma trusted_schema = off;
pragma cell_size_check = on;
pragma fullfsync = on;
pragma cache_size = -4000;
`;

/** Where a database is and how it is spoken to. */
export interface Place {
  readonly file: string;
  readonly sqlite: SqliteConstructor;
  readonly dialect: Dialect;
  readonly timeoutMs: number;
  /** Of an encrypted database. */
  readonly cipher?: Cipher | undefined;
}

/** The connection of the transactions. */
export function openWriter(place: Place): Connection {
  // It is in WAL mode from birth; a tool may have changed that.
  return connect(place, { file: place.file, extra: "pragma journal_mode = wal" });
}

/** The connection of the reads; it is sure to be a database of ours. */
export function openReader(place: Place, mode: "create" | "open" | "read"): Promise<Connection> {
  const { file, timeoutMs } = place;
  const readonly = mode === "read" && !isWritable(file);
  return retryBusy(timeoutMs, () => {
    for (;;) {
      const connection = identified(connectReader(place, readonly), file);
      // While it waited for somebody's lock, that one may have put another file into its place.
      if (!connection.isReplaced()) return connection;
      connection.close();
    }
  });
}

function connectReader(place: Place, readonly: boolean): Connection {
  const { file } = place;
  if (readonly && !exists(`${file}-wal`)) return connectSnapshot(place);
  // A connection that may write tidies up -wal and -shm when it is the last; it must still write no row.
  return connect(place, { file, readonly, extra: "pragma query_only = on" });
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
function connectSnapshot(place: Place): Connection {
  const { file, cipher } = place;
  if (cipher !== undefined) {
    throw new CryptoError(
      "ERR_ACCESS_DENIED",
      `${file} is encrypted, and can be read only where it may be written`,
    );
  }
  const before = statSync(file);
  const bytes = readFileSync(file);
  if (statSync(file).mtimeMs !== before.mtimeMs || exists(`${file}-wal`)) {
    throw new CryptoError("ERR_BUSY", `${file} was changed while it was read`);
  }
  bytes.fill(1, 18, 20);
  return connect(place, { file: bytes, readonly: true });
}

/** What SQLite calls a database without a file. */
export const MEMORY = ":memory:";

interface ConnectOptions {
  /** A path, {@link MEMORY}, or the bytes of a database. */
  readonly file: string | Uint8Array;
  readonly readonly?: boolean;
  /** Pragmas of this connection alone. */
  readonly extra?: string;
}

/** A connection with the settings that every one has; nothing was read yet. */
export function connect(place: Place, options: ConnectOptions): Connection {
  const { file, extra = "" } = options;
  const connection =
    typeof file === "string" && file !== MEMORY
      ? connectFile(place, file, options)
      : new Connection(construct(place, options), place.dialect);
  try {
    connection.database.exec(PRAGMAS + extra);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

function connectFile(place: Place, path: string, options: ConnectOptions): Connection {
  for (;;) {
    const before = fileId(path);
    const database = construct(place, options);
    try {
      const id = fileId(path);
      // Renamed into place at this very moment: nobody knows which of the two was opened.
      if (id === undefined || !isSameFile(before, id)) {
        database.close();
        continue;
      }
      if (place.cipher !== undefined) useCipher(database, place.cipher);
      const closed = noteOpen(id, place.cipher !== undefined);
      return new Connection(database, place.dialect, { path, id, closed });
    } catch (error) {
      database.close();
      throw error;
    }
  }
}

const construct = ({ sqlite }: Place, { file, readonly = false }: ConnectOptions): SqliteDatabase =>
  new sqlite(file, { readonly, fileMustExist: typeof file === "string", timeout: 0 });

/** @throws CryptoError `ERR_INTEGRITY` for the application id of another one. */
export function requireOurs(id: unknown, file: string): void {
  if (id === APPLICATION_ID) return;
  throw new CryptoError("ERR_INTEGRITY", `${file} is a database of another application`, {
    context: {
      hint: 'It was left as it is; "lango security db-migrate --from-passphrase" reads that of the original Lango',
    },
  });
}

/** Refuses a database of another application. Also the first read: a file that is no database shows itself here. */
function identified(connection: Connection, file: string): Connection {
  try {
    requireOurs(connection.rows("pragma application_id")[0]?.[0], file);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}
