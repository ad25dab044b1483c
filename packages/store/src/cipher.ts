import { CryptoError } from "@lango/crypto-core";
import type { SqliteConstructor, SqliteDatabase } from "./driver.ts";

/** With what a database is encrypted: the format of SQLCipher 4 (AES-256-CBC, HMAC-SHA-512 on each page). */
export interface Cipher {
  /** 32 bytes, used as they are: no key derivation comes before them. Or the bytes of a passphrase. */
  readonly key: Uint8Array;
  /** Whether the key is what another program gave to `PRAGMA key` as a passphrase: 256,000 rounds of PBKDF2. Default: it is raw. */
  readonly isPassphrase?: boolean;
  /** Bytes of a page, one of {@link CIPHER_PAGE_SIZES}. */
  readonly pageSize: number;
}

/** SQLCipher takes 512 too; 80 bytes of each page go to the cipher, and 1,024 is the least that its driver here makes. */
export const CIPHER_PAGE_SIZES: readonly number[] = [1024, 2048, 4096, 8192, 16384, 32768, 65536];
/** Of SQLCipher 4, and of seed 000. */
export const DEFAULT_CIPHER_PAGE_SIZE = 4096;

const KEY_BYTES = 32;
const DRIVER = "better-sqlite3-multiple-ciphers";

/** @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a key of another length or a page size that there is not. */
export function checkCipher({ key, pageSize, isPassphrase = false }: Cipher): void {
  if (!isPassphrase && key.length !== KEY_BYTES) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      `The key of a database has ${KEY_BYTES} bytes, not ${key.length}`,
    );
  }
  if (CIPHER_PAGE_SIZES.includes(pageSize)) return;
  throw new CryptoError(
    "ERR_INVALID_ARGUMENT",
    `A page of an encrypted database has ${CIPHER_PAGE_SIZES.join(", ")} bytes, not ${pageSize}`,
  );
}

/**
 * Refuses a driver that knows no cipher: it would take the pragmas for unknown ones, say nothing, and write plaintext.
 *
 * @throws {@link CryptoError} `ERR_PROVIDER_NOT_INSTALLED`.
 */
export function requireCiphers(sqlite: SqliteConstructor): void {
  const database = new sqlite(":memory:", {});
  try {
    if (typeof database.key === "function") return;
    throw new CryptoError(
      "ERR_PROVIDER_NOT_INSTALLED",
      "The SQLite driver that is installed cannot encrypt a database",
      { context: { hint: `npm install ${DRIVER}` } },
    );
  } finally {
    database.close();
  }
}

/** Before anything else is done with a connection: the format first, then the key (the driver's own order). */
export function useCipher(database: SqliteDatabase, cipher: Cipher): void {
  chooseFormat(database, cipher.pageSize);
  if (cipher.isPassphrase) useBytes(cipher.key, (bytes) => database.key?.(bytes));
  else withKeyText(cipher.key, (text) => database.key?.(text));
  const [row] = database.prepare("pragma cipher").all() as Record<string, unknown>[];
  if (row !== undefined && Object.values(row)[0] === "sqlcipher") return;
  throw new CryptoError("ERR_INTERNAL", "The SQLite driver did not turn its cipher on");
}

/**
 * Encrypts every page of an open database anew, or decrypts it. It must not be in WAL mode, and be nobody else's.
 *
 * @param cipher - `undefined`: in plaintext from now on.
 */
export function changeCipher(database: SqliteDatabase, cipher: Cipher | undefined): void {
  if (cipher === undefined) {
    database.rekey?.(Buffer.alloc(0));
    return;
  }
  chooseFormat(database, cipher.pageSize);
  withKeyText(cipher.key, (text) => database.rekey?.(text));
}

/** `legacy = 4` is what other SQLCipher reads; and `cipher_page_size` would be ignored. */
const chooseFormat = (database: SqliteDatabase, pageSize: number): unknown =>
  database.exec(
    `pragma cipher = 'sqlcipher'; pragma legacy = 4; pragma legacy_page_size = ${pageSize}`,
  );

/** Not in the text of a pragma, where a quote would end it. */
function useBytes(passphrase: Uint8Array, use: (bytes: Buffer) => unknown): void {
  const bytes = Buffer.from(passphrase);
  try {
    use(bytes);
  } finally {
    bytes.fill(0);
  }
}

const DIGITS = "0123456789abcdef";

/** A raw key is given as a blob literal; as bytes it can be zeroed, which a string cannot. */
function withKeyText(key: Uint8Array, use: (text: Buffer) => unknown): void {
  const text = Buffer.from(`x'${"0".repeat(KEY_BYTES * 2)}'`);
  try {
    for (const [at, byte] of key.entries()) {
      text[2 + at * 2] = DIGITS.charCodeAt(byte >> 4);
      text[3 + at * 2] = DIGITS.charCodeAt(byte & 15);
    }
    use(text);
  } finally {
    text.fill(0);
  }
}
