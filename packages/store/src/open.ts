import { CryptoError } from "@lango/crypto-core";
import type { SqliteConstructor } from "./driver.ts";
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
}

/**
 * Opens a database and brings it up to date, keeping a backup of it from before.
 *
 * @throws {@link CryptoError}
 *   - `ERR_NOT_FOUND`: no such file (`open`, `read`).
 *   - `ERR_INTEGRITY`: damaged, truncated, or not Lango's; the file is left as it is.
 *   - `ERR_CONFLICT`: written by a newer Lango; both versions are named. Or an older one in mode `read`.
 *   - `ERR_CONFIG`: file or folder open to others; the hint has the chmod line.
 *   - `ERR_PROVIDER_NOT_INSTALLED`: no SQLite driver; the hint has the command.
 *   - `ERR_ACCESS_DENIED`, `ERR_UNAVAILABLE`, `ERR_BUSY`: the file cannot be read or written now.
 */
export async function openStore(options: OpenStoreOptions): Promise<Store> {
  throw new CryptoError("ERR_UNSUPPORTED", `Not built yet: ${options.file}`);
}
