import { CryptoError, toPlain } from "@lango/crypto-core";
import { type Cipher, DEFAULT_CIPHER_PAGE_SIZE, requireCiphers } from "./cipher.ts";
import { APPLICATION_ID, connect, type Place } from "./connect.ts";
import type { Connection } from "./connection.ts";
import { sqliteDialect } from "./dialect.ts";
import { loadSqlite, type SqliteConstructor } from "./driver.ts";
import { resolveFile } from "./files.ts";
import { candidates, isNoDatabase, probe } from "./open-encrypted.ts";
import { isPlain } from "./open-files.ts";
import { isBusy, isCorrupt, mapSqliteError } from "./sqlite-errors.ts";

/** What may open an encrypted database. */
export interface ForeignKey {
  /** 32 bytes of a raw key, or the bytes of a passphrase. Copied. */
  readonly key: Uint8Array;
  /** Whether it is what `PRAGMA key` took as a passphrase. */
  readonly isPassphrase: boolean;
}

/** Options of {@link openForeign}. */
export interface OpenForeignOptions {
  /**
   * A copy of the database, with its log beside it: SQLite moves the log into it. Its folder belongs to the owner alone
   * (mode 0700).
   */
  readonly file: string;
  /** What errors call it: the file of which it is a copy. */
  readonly shownAs: string;
  /** Of an encrypted one, in the order in which they are tried, with every page size of SQLCipher 4. */
  readonly keys: readonly ForeignKey[];
  /** Default: as `openStore`. */
  readonly sqlite?: SqliteConstructor;
}

/** A database that another program made. */
export interface ForeignDatabase {
  /** Of the key that opened it, among those given; `undefined`: it is in plaintext. */
  readonly keyIndex: number | undefined;
  /** Whether Lango made it (by its application id). */
  readonly isOurs: boolean;
  /** The rows of a query, by column; blobs are plain arrays of memory of their own. */
  rows(sql: string, ...params: readonly unknown[]): Record<string, unknown>[];
  /**
   * Whether another process has a file open that has the same key as this one. The file must have no log beside it, and is
   * not changed.
   */
  isOpenElsewhere(file: string): boolean;
  /** Zeroes the key. */
  close(): void;
}

/**
 * Opens a database that is not Lango's, in plaintext or in the format of SQLCipher 4. Nothing of its schema is known.
 *
 * @throws {@link CryptoError} `ERR_WRONG_PASSPHRASE` when it is encrypted and no key opens it, or it is damaged at its start;
 *   `ERR_INTEGRITY` for a damaged one; `ERR_PROVIDER_NOT_INSTALLED` without a driver that has ciphers.
 */
export async function openForeign(options: OpenForeignOptions): Promise<ForeignDatabase> {
  const { shownAs, keys } = options;
  const sqlite = options.sqlite ?? (await loadSqlite());
  const place: Place = {
    ...{ file: resolveFile(options.file), sqlite, dialect: sqliteDialect(), timeoutMs: 0 },
  };
  try {
    if (isPlain(place.file)) return foreign(place, shownAs, undefined);
    if (keys.length > 0) requireCiphers(sqlite);
    for (const [keyIndex, { key, isPassphrase }] of keys.entries()) {
      const found = await thatOpens(place, { key: key.slice(), isPassphrase });
      if (found !== undefined) return foreign(found, shownAs, keyIndex);
    }
  } catch (error) {
    throw mapSqliteError(error, shownAs);
  }
  throw new CryptoError(
    "ERR_WRONG_PASSPHRASE",
    `${shownAs} does not open with this passphrase: it is another one, or the file is damaged`,
    { context: { hint: "It was left as it is." } },
  );
}

/** The place with the page size that the file has; `undefined` when the key is a wrong one, which is zeroed. */
async function thatOpens(
  place: Place,
  key: Pick<Cipher, "key" | "isPassphrase">,
): Promise<Place | undefined> {
  const cipher: Cipher = { ...key, pageSize: DEFAULT_CIPHER_PAGE_SIZE };
  for (const candidate of candidates({ ...place, cipher })) {
    try {
      // For reading: a wrong key must not move the log into the database.
      await probe(candidate);
      return candidate;
    } catch (error) {
      if (!isNoDatabase(error)) throw error;
    }
  }
  cipher.key.fill(0);
  return undefined;
}

function foreign(place: Place, shownAs: string, keyIndex: number | undefined): ForeignDatabase {
  const connection = connect(place, { file: place.file, extra: "pragma query_only = on" });
  const mapped = <T>(read: () => T): T => {
    try {
      return read();
    } catch (error) {
      throw mapSqliteError(error, shownAs);
    }
  };
  const close = (): void => {
    connection.close();
    place.cipher?.key.fill(0);
  };
  try {
    return {
      keyIndex,
      isOurs: mapped(() => connection.rows("pragma application_id")[0]?.[0] === APPLICATION_ID),
      rows: (sql, ...params) =>
        mapped(() => {
          const rows = connection.database.prepare(sql).all(...params);
          return (rows as Record<string, unknown>[]).map(withPlainBytes);
        }),
      isOpenElsewhere: (file) => mapped(() => isOpenElsewhere({ ...place, file })),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

const withPlainBytes = (row: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? toPlain(value) : value,
    ]),
  );

/** Who has a database open in WAL mode holds a lock on its file all the time, and else whenever it reads or writes. */
function isOpenElsewhere(place: Place): boolean {
  let connection: Connection | undefined;
  try {
    connection = connect(place, { file: place.file, extra: "pragma locking_mode = exclusive" });
    connection.rows("select count(*) from sqlite_schema");
    connection.database.exec("begin exclusive; commit");
    return false;
  } catch (error) {
    if (isBusy(error)) return true;
    // The lock came before: without its log a database that was killed while it grew is shorter than it says.
    if (isCorrupt(error)) return false;
    throw error;
  } finally {
    connection?.close();
  }
}
