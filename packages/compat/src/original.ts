import type { KeyObject } from "node:crypto";
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Bytes, CryptoError, createAesKey, isCryptoError, zero } from "@lango/crypto-core";
import { hkdf } from "@lango/envelope";
import { type ForeignDatabase, type ForeignKey, openForeign } from "@lango/store";
import { type Copy, copyAside } from "./copy-aside.ts";
import {
  EMPTY,
  type OriginalEnvelope,
  readEnvelope,
  unwrapMasterKey,
} from "./original-envelope.ts";
import { legacyKey, openSealed } from "./original-keys.ts";
import { type OriginalRows, readRows } from "./original-schema.ts";
import type { OpenOriginalOptions, Original, OriginalSecret } from "./original-types.ts";

/** What the original names its own key in its registry; other ids are of services. */
const LOCAL = "local";
const DATABASE_KEY = "lango-db-encryption";

/**
 * Opens a database of the original Lango (the program in Go) for reading, in plaintext or encrypted, with or without
 * `envelope.json`. The file and its log stay as they are.
 *
 * @throws CryptoError `ERR_WRONG_PASSPHRASE`; `ERR_INTEGRITY` for a damaged database, one of another program, and a checksum
 *   that was altered; `ERR_MALFORMED_ENVELOPE`; `ERR_UNSUPPORTED` for an envelope without a passphrase; `ERR_CONFLICT` for a
 *   database of this Lango; `ERR_NOT_FOUND`, `ERR_BUSY`, `ERR_ACCESS_DENIED`, `ERR_PROVIDER_NOT_INSTALLED`.
 */
export async function openOriginal(options: OpenOriginalOptions): Promise<Original> {
  const { file, passphrase, databasePassphrase = passphrase, workFolder } = options;
  const envelope = readEnvelope(options.envelope ?? join(dirname(file), "envelope.json"));
  const masterKey = envelope && (await unwrapMasterKey(envelope, passphrase));
  let copy: Copy | undefined;
  let database: ForeignDatabase | undefined;
  const close = (): void => {
    database?.close();
    database = undefined;
    if (copy) remove(copy);
  };
  try {
    copy = copyAside(file, workFolder);
    database = await openDatabase(copy, file, databasePassphrase, masterKey);
    // Open files stay until they are closed, and nothing is left behind by whoever is killed; Windows removes no open file.
    if (process.platform !== "win32") remove(copy);
    const rows = readRows(database, file);
    const keys = await valueKeys(options, rows, envelope, masterKey);
    return assemble(file, { database, rows, keys, envelope, close });
  } catch (error) {
    close();
    throw error;
  } finally {
    zero(masterKey);
  }
}

const remove = ({ folder }: Copy): void => rmSync(folder, { recursive: true, force: true });

/** The original encrypts with the passphrase, and since it has a master key with a raw key of that; an interruption leaves the former. */
async function openDatabase(
  { file: copy }: Copy,
  file: string,
  passphrase: Uint8Array,
  masterKey: Bytes | undefined,
): Promise<ForeignDatabase> {
  const raw = masterKey && hkdf(masterKey, EMPTY, DATABASE_KEY);
  const keys: ForeignKey[] = [{ key: passphrase, isPassphrase: true }];
  if (raw) keys.unshift({ key: raw, isPassphrase: false });
  try {
    return await openForeign({ file: copy, shownAs: file, keys });
  } catch (error) {
    if (!raw || !isCryptoError(error) || error.code !== "ERR_WRONG_PASSPHRASE") throw error;
    throw new CryptoError(
      "ERR_INTEGRITY",
      `${file} opens neither with the key of its envelope nor with the passphrase: it is damaged, or of another envelope`,
      { context: { hint: "It was left as it is." }, cause: error },
    );
  } finally {
    zero(raw);
  }
}

/** The keys that may have sealed the values: more than one where the original was killed while it changed them. */
async function valueKeys(
  { file, passphrase }: OpenOriginalOptions,
  rows: OriginalRows,
  envelope: OriginalEnvelope | undefined,
  masterKey: Bytes | undefined,
): Promise<KeyObject[]> {
  if (masterKey && !envelope?.pendingMigration) return [createAesKey(masterKey)];
  const { key, fits } = await legacyKey(file, passphrase, rows.security);
  const keys = masterKey ? [createAesKey(masterKey), key] : [key];
  const local = rows.secrets.filter((secret) => secret.key.remoteId === LOCAL);
  const opens = (): boolean => local.some(({ name }) => isReadable(rows, keys, name));
  if (fits === false && opens()) {
    throw new CryptoError(
      "ERR_INTEGRITY",
      `The checksum in ${file} was altered: the passphrase opens its secrets, and does not fit it`,
      { context: { hint: "It was left as it is; restore a backup." } },
    );
  }
  // Without a checksum only a secret can tell.
  if (fits === false || (fits === undefined && local.length > 0 && !opens())) {
    throw new CryptoError("ERR_WRONG_PASSPHRASE", `This is not the passphrase of ${file}`, {
      context: { hint: "It was left as it is." },
    });
  }
  return keys;
}

function isReadable(rows: OriginalRows, keys: readonly KeyObject[], name: string): boolean {
  const value = openSealed(keys, rows.sealed(name) ?? EMPTY);
  zero(value);
  return value !== undefined;
}

interface Parts {
  readonly database: ForeignDatabase;
  readonly rows: OriginalRows;
  readonly keys: readonly KeyObject[];
  readonly envelope: OriginalEnvelope | undefined;
  readonly close: () => void;
}

function assemble(file: string, { database, rows, keys, envelope, close }: Parts): Original {
  // During an outage of its service the original sealed with its own key, and named the one of the service all the same.
  const isOurs = ({ name, key }: OriginalSecret): boolean =>
    key.remoteId === LOCAL || isReadable(rows, keys, name);
  const secrets = rows.secrets.filter(isOurs);
  const names = new Set(secrets.map(({ name }) => name));
  return {
    mode: envelope ? "envelope" : "legacy",
    encrypted: database.keyIndex !== undefined,
    secrets,
    unreadable: rows.secrets.filter(({ name }) => !names.has(name)),
    profiles: rows.profiles,
    tables: rows.tables,
    otherSlots: (envelope?.slots ?? []).flatMap(({ type }) =>
      type === "passphrase" ? [] : [type],
    ),
    read(name) {
      if (!names.has(name)) throw new CryptoError("ERR_NOT_FOUND", `${file} has no such secret`);
      const value = openSealed(keys, rows.sealed(name) ?? EMPTY);
      if (value !== undefined) return value;
      throw new CryptoError(
        "ERR_DECRYPTION_FAILED",
        `The secret ${JSON.stringify(name)} of ${file} does not open: it was altered`,
        { context: { hint: "It was left as it is; restore a backup." } },
      );
    },
    isOpenElsewhere: database.isOpenElsewhere,
    close,
    [Symbol.dispose]: close,
  };
}
