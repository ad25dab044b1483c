import { CryptoError } from "@lango/crypto-core";
import { retryBusy } from "./busy.ts";
import { CIPHER_PAGE_SIZES, type Cipher } from "./cipher.ts";
import { connect, openReader, type Place, requireOurs } from "./connect.ts";
import type { Connection } from "./connection.ts";
import { exists } from "./files.ts";
import { looksEncrypted } from "./open-files.ts";

type Mode = "create" | "open" | "read";

/**
 * Opens a database for reading, with the key of its place or without one, and finds out the size of its pages. The file says
 * whether it is encrypted: a key for one in plaintext, and none for an encrypted one, are refused by their names.
 */
export async function openEncrypted(
  place: Place,
  mode: Mode,
): Promise<{ readonly place: Place; readonly reader: Connection }> {
  const { file, cipher } = place;
  for (const candidate of candidates(place)) {
    try {
      if (exists(`${file}-wal`)) requireOurs(await probe(candidate), file);
      return { place: candidate, reader: await openReader(candidate, mode) };
    } catch (error) {
      if (!isNoDatabase(error)) throw error;
    }
  }
  if (cipher === undefined) throw looksEncrypted(file) ? isLocked(file) : damaged(file);
  throw (await isReadable({ ...place, cipher: undefined }))
    ? isPlaintext(file)
    : cipher.isPassphrase
      ? wrongPassphrase(file)
      : wrongKey(file);
}

/** Whether it is a database to this key, or to none. */
async function isReadable(place: Place): Promise<boolean> {
  try {
    await probe(place);
    return true;
  } catch (error) {
    if (isNoDatabase(error)) return false;
    throw error;
  }
}

/**
 * The last connection that is closed moves the log into the database, also with a wrong key or none: so whoever died and left
 * one must be opened by its own key first, and the log of another program's database is left to that. A connection that may not
 * write leaves it.
 *
 * @returns Its application id.
 */
export async function probe(place: Place): Promise<unknown> {
  const { file, timeoutMs } = place;
  return retryBusy(timeoutMs, () => {
    const connection = connect(place, { file, readonly: true });
    try {
      return connection.rows("pragma application_id")[0]?.[0];
    } finally {
      connection.close();
    }
  });
}

/** The settings say how large the pages of a new database are; one that is there keeps its own. */
export const candidates = (place: Place): Place[] => {
  const { cipher } = place;
  if (cipher === undefined) return [place];
  const others = CIPHER_PAGE_SIZES.filter((pageSize) => pageSize !== cipher.pageSize);
  return [cipher.pageSize, ...others].map((pageSize): Place => {
    const sized: Cipher = { ...cipher, pageSize };
    return { ...place, cipher: sized };
  });
};

/** What SQLite says when the header is not its own, and its cipher when a page is not what the key says. */
export const isNoDatabase = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "SQLITE_NOTADB";

const isLocked = (file: string): CryptoError =>
  new CryptoError("ERR_LOCKED", `${file} is encrypted, and there is no key for it`, {
    context: { hint: "It opens with the key of its vault." },
  });

const isPlaintext = (file: string): CryptoError =>
  new CryptoError("ERR_CONFIG", `${file} is in plaintext, and shall be encrypted`, {
    context: { hint: "Run: lango security db-migrate" },
  });

const wrongKey = (file: string): CryptoError =>
  new CryptoError(
    "ERR_INTEGRITY",
    `${file} does not open with this key: it is damaged, or of another vault`,
    {
      context: { hint: "It was left as it is; restore a backup." },
    },
  );

const wrongPassphrase = (file: string): CryptoError =>
  new CryptoError(
    "ERR_WRONG_PASSPHRASE",
    `${file} does not open with this passphrase: it is another one, or the file is damaged`,
    { context: { hint: "It was left as it is." } },
  );

const damaged = (file: string): CryptoError =>
  new CryptoError("ERR_INTEGRITY", `${file} is damaged or no database of Lango (SQLITE_NOTADB)`, {
    context: { hint: "It was left as it is; restore a backup." },
  });
