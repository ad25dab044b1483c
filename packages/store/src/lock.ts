import { dirname, join } from "node:path";
import { CryptoError } from "@lango/crypto-core";
import { retryBusy } from "./busy.ts";
import { loadSqlite, type SqliteConstructor, type SqliteDatabase } from "./driver.ts";
import { checkFile, createPrivate } from "./files.ts";
import { isBusy, mapSqliteError } from "./sqlite-errors.ts";

export interface LockOptions {
  readonly sqlite: SqliteConstructor;
  /** The database file; the lock lies beside it. */
  readonly file: string;
  readonly timeoutMs: number;
}

/**
 * Runs while no other connection, of this or another process, holds the lock. The lock is SQLite's own on an empty file
 * (`BEGIN EXCLUSIVE`): the kernel frees it when the process dies, so there is no stale lock to judge.
 *
 * @throws {@link CryptoError} `ERR_CONFLICT` when it is still held after `timeoutMs`.
 */
export async function withFileLock<T>(options: LockOptions, run: () => Promise<T>): Promise<T> {
  const held = await acquire(options);
  try {
    return await run();
  } finally {
    held.close();
  }
}

/**
 * Runs while no other process holds the lock of this folder, which is that of the database in it, whether or not there is one.
 *
 * @param folder - Absolute; its owner's alone.
 * @param options.waitMs - How long to wait for another holder. Default: not at all.
 * @throws {@link CryptoError} `ERR_CONFLICT` when another process holds it after that; `ERR_PROVIDER_NOT_INSTALLED`.
 */
export async function withFolderLock<T>(
  folder: string,
  run: () => Promise<T>,
  { waitMs = 0 }: { readonly waitMs?: number } = {},
): Promise<T> {
  const sqlite = await loadSqlite();
  return withFileLock({ sqlite, file: join(folder, "lango.db"), timeoutMs: waitMs }, run);
}

async function acquire({ sqlite, file, timeoutMs }: LockOptions): Promise<SqliteDatabase> {
  const path = join(dirname(file), "lango.lock");
  let database: SqliteDatabase | undefined;
  try {
    createPrivate(path);
    checkFile(path);
    const connection = new sqlite(path, { fileMustExist: true, timeout: 0 });
    database = connection;
    // No rollback journal on disk: nothing is ever written.
    const begin = "pragma journal_mode = memory; begin exclusive";
    await retryBusy(timeoutMs, () => connection.exec(begin));
    return connection;
  } catch (error) {
    database?.close();
    if (!isBusy(error)) throw mapSqliteError(error, path);
    throw new CryptoError("ERR_CONFLICT", `Another lango is changing ${dirname(path)}`, {
      context: { hint: "Wait until it is done, then try again." },
      cause: error,
    });
  }
}
