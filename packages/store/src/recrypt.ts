import { readdirSync, renameSync, rmSync, statfsSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { CryptoError } from "@lango/crypto-core";
import { retryBusy } from "./busy.ts";
import { type Cipher, changeCipher } from "./cipher.ts";
import { connect, type Place } from "./connect.ts";
import type { Connection } from "./connection.ts";
import { createPrivate, exists, syncFolder, syncToDisk } from "./files.ts";
import { isPlain } from "./open-files.ts";
import type { Recrypted, RecryptStage } from "./recrypt-types.ts";
import { isBusy } from "./sqlite-errors.ts";

/** The copy; it is in plaintext for a while, and so never outlives the next opening. */
const copyOf = (file: string): string => `${file}.recrypt`;
/** VACUUM INTO makes one copy, and the journal of its encryption is another. */
const COPIES = 2;

export interface RecryptJob {
  readonly place: Place;
  /** What the file is encrypted with afterwards. */
  readonly cipher: Cipher | undefined;
  readonly onStage: (stage: RecryptStage) => void;
}

/**
 * Puts an encrypted (decrypted, otherwise encrypted) copy of a database into its place. Runs under the lock of the home; no
 * connection of this store may be open.
 */
export async function recrypt({ place, cipher, onStage }: RecryptJob): Promise<Recrypted> {
  const { file } = place;
  const copy = { ...place, file: copyOf(file), cipher };
  removeCopy(file);
  checkSpace(file);
  const source = await openAlone(place);
  try {
    onStage("locked");
    makeCopy(source, copy, place.cipher, onStage);
    const rows = compare(source, copy);
    if (isPlain(copy.file) !== (cipher === undefined))
      throw differs("it is not encrypted as it shall be");
    onStage("checked");
    syncToDisk(copy.file);
    // From before: in plaintext, or under a key that somebody else may have.
    removeBackups(file);
    onStage("cleared");
    // Windows renames over no open file.
    if (process.platform === "win32") source.close();
    renameSync(copy.file, file);
    onStage("renamed");
    syncFolder(dirname(file));
    return { rows };
  } finally {
    // Only now may others open what is there: the copy, or the old file as it was.
    source.close();
    removeCopy(file);
  }
}

/**
 * A connection that has the file for itself until it is closed: nobody else has it open, and there is no log beside it, which
 * SQLite would otherwise replay into the copy.
 */
async function openAlone(place: Place): Promise<Connection> {
  const { file, timeoutMs } = place;
  try {
    return await retryBusy(timeoutMs, () => {
      const connection = connect(place, { file, extra: "pragma locking_mode = exclusive" });
      try {
        connection.rows("pragma journal_mode = delete");
        connection.database.exec("begin exclusive; commit");
        // Under the lock nobody maps it; a process that was killed left it.
        rmSync(`${file}-shm`, { force: true });
        return connection;
      } catch (error) {
        connection.close();
        throw error;
      }
    });
  } catch (error) {
    if (!isBusy(error)) throw error;
    throw new CryptoError("ERR_BUSY", `${file} is open in another program, or another lango`, {
      context: {
        hint: "Stop what uses the vault (mcp serve, companion serve, run), then try again.",
      },
      cause: error,
    });
  }
}

function makeCopy(
  source: Connection,
  copy: Place,
  before: Cipher | undefined,
  onStage: (stage: RecryptStage) => void,
): void {
  const { file, cipher } = copy;
  // An empty file is taken as it is; one that SQLite made itself would be readable by others.
  createPrivate(file);
  if (before === undefined && cipher !== undefined) {
    source.database.exec(`pragma page_size = ${cipher.pageSize}`);
  }
  source.database.prepare("vacuum into ?").run(file);
  onStage("copied");
  const connection = connect({ ...copy, cipher: before }, { file });
  try {
    changeCipher(connection.database, cipher);
  } finally {
    connection.close();
  }
  onStage("encrypted");
}

/** Opens the copy as it will be opened, looks at every page of it, and counts the rows of every table in both. */
function compare(source: Connection, copy: Place): number {
  const connection = connect(copy, { file: copy.file });
  try {
    const faults = connection.rows("pragma integrity_check").flat();
    if (faults.join() !== "ok") throw differs(`${faults[0]}`);
    const tables = tablesOf(source);
    if (tablesOf(connection).join() !== tables.join()) throw differs("it has other tables");
    let rows = 0;
    for (const table of tables) {
      const [before, after] = [source, connection].map((each) => countOf(each, table));
      if (before !== after) throw differs(`${table} has ${after} rows, not ${before}`);
      rows += before ?? 0;
    }
    for (const pragma of ["application_id", "user_version"]) {
      const [before, after] = [source, connection].map(
        (each) => each.rows(`pragma ${pragma}`)[0]?.[0],
      );
      if (before !== after) throw differs(`its ${pragma} is ${after}`);
    }
    connection.rows("pragma journal_mode = wal");
    return rows;
  } finally {
    connection.close();
  }
}

const tablesOf = (connection: Connection): string[] =>
  connection
    .rows("select name from sqlite_schema where type = 'table' order by name")
    .map(([name]) => String(name));

const countOf = (connection: Connection, table: string): number =>
  Number(connection.rows(`select count(*) from "${table.replaceAll('"', '""')}"`)[0]?.[0]);

const differs = (how: string): CryptoError =>
  new CryptoError("ERR_INTEGRITY", `The copy of the database is not as it: ${how}`, {
    context: { hint: 'Nothing was changed; see "lango doctor".' },
  });

function checkSpace(file: string): void {
  const { bavail, bsize } = statfsSync(dirname(file));
  const sizes = [file, `${file}-wal`].map(
    (path) => statSync(path, { throwIfNoEntry: false })?.size,
  );
  const needed = COPIES * sizes.reduce<number>((sum, size = 0) => sum + size, 0);
  const free = bavail * bsize;
  if (free >= needed) return;
  const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  throw new CryptoError(
    "ERR_BUSY",
    `${dirname(file)} has ${mib(free)} free, a copy of the database needs ${mib(needed)}`,
    { context: { hint: "Free some space and try again; nothing was changed." }, retryable: false },
  );
}

/** Whether an earlier run died before its end. */
export const isCopyLeft = (file: string): boolean => exists(copyOf(file));

/** Under the lock: nobody else is making one. */
export function removeCopy(file: string): void {
  // The journal first: it holds pages of the copy.
  for (const suffix of ["-journal", "-wal", "-shm", ""])
    rmSync(copyOf(file) + suffix, { force: true });
}

/** The backups from before migrations, and what a migration that died left of one. */
function removeBackups(file: string): void {
  const name = basename(file);
  for (const each of readdirSync(dirname(file))) {
    const rest = each.startsWith(name) ? each.slice(name.length) : "";
    if (/^\.v\d+\.bak(\.new)?(-journal|-wal|-shm)?$|^\.new(-journal|-wal|-shm)?$/.test(rest))
      rmSync(join(dirname(file), each));
  }
}
