/** How the database of a vault shall be; the file itself must be so. */
export interface DatabaseWish {
  readonly enabled: boolean;
  /** Bytes of a page of a new encrypted database. Default: 4,096. One that is there keeps its own. */
  readonly cipherPageSize?: number | undefined;
}

/** How the database is. A server's is never encrypted by lango. */
export type DatabaseState =
  | { readonly encrypted: false }
  /** The size is `null` while the vault is locked. */
  | { readonly encrypted: true; readonly cipherPageSize: number | null };

/** Where a change of the whole file is: step `done` of `total`. A step takes the longer the larger the file is. */
export interface DatabaseProgress {
  readonly done: number;
  readonly total: number;
}

export interface ChangeDatabaseOptions {
  readonly onProgress?: ((progress: DatabaseProgress) => void) | undefined;
  /** Ends it before the new file takes the place of the old one, with `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
}

export interface EncryptDatabaseOptions extends ChangeDatabaseOptions {
  /** Bytes of a page, a power of two from 1,024 to 65,536. Default: 4,096. */
  readonly cipherPageSize?: number | undefined;
}

export interface ChangedDatabase {
  /** False when it was so already. */
  readonly changed: boolean;
  /** Rows of all tables that were copied and counted; 0 when nothing was. */
  readonly rows: number;
}

/**
 * The encryption of the whole database file, in the format of SQLCipher 4, with a raw key that is derived from the vault key.
 *
 * A change makes a copy, checks it, and renames it over the old file: whenever the process dies, one of the two is there,
 * whole, and the next opening removes what is left of the other. Backups that older versions of lango left go with it.
 */
export interface DatabaseEncryption {
  status(): DatabaseState;
  /**
   * @throws {@link CryptoError} `ERR_BUSY` when anything else has the vault open, or the disk has no room for two copies;
   *   `ERR_PROVIDER_NOT_INSTALLED` for a SQLite driver without ciphers; `ERR_UNSUPPORTED` for a server; `ERR_CONFLICT`
   *   when another lango holds the lock of the home.
   */
  encrypt(options?: EncryptDatabaseOptions): Promise<ChangedDatabase>;
  /** Puts names, times and the log into plaintext again. Errors as `encrypt`. */
  decrypt(options?: ChangeDatabaseOptions): Promise<ChangedDatabase>;
}
