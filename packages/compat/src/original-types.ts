import type { Bytes } from "@lango/crypto-core";

/** Options of `openOriginal`. */
export interface OpenOriginalOptions {
  /** Path of the database: `lango.db`, or what it was renamed to. It is only read. */
  readonly file: string;
  /** The bytes of the passphrase as they were typed, without a newline. Not changed; the caller zeroes it. */
  readonly passphrase: Uint8Array;
  /** What `PRAGMA key` took. Default: `passphrase`, as the original has it. */
  readonly databasePassphrase?: Uint8Array | undefined;
  /** Path of the master key envelope, which need not be there. Default: `envelope.json` beside the database. */
  readonly envelope?: string | undefined;
  /**
   * A folder of its owner alone (mode 0700), on a disk with room for the database and its log: they are copied into it, and
   * the copy is removed as soon as it is open.
   */
  readonly workFolder: string;
}

/** A secret of the original, without its value. */
export interface OriginalSecret {
  readonly name: string;
  /** Name of the key in the original's registry, and what it is there: `local`, or the id of a key in a service. */
  readonly key: { readonly name: string; readonly remoteId: string };
  /** Milliseconds since the epoch; `undefined` where the row has no date that can be read. */
  readonly createdAt: number | undefined;
  readonly updatedAt: number | undefined;
  /** How often it was read since it was last written. */
  readonly uses: number;
}

/** A database of the original Lango. */
export interface Original extends Disposable {
  /**
   * `legacy`: values are sealed with a key that is derived from the passphrase; `envelope`: with a master key that
   * `envelope.json` holds, wrapped.
   */
  readonly mode: "legacy" | "envelope";
  /** Whether the database file is encrypted (SQLCipher 4). */
  readonly encrypted: boolean;
  /** The secrets that `read` opens, by name. */
  readonly secrets: readonly OriginalSecret[];
  /** Those that it cannot: sealed by a key of a service, which is named. */
  readonly unreadable: readonly OriginalSecret[];
  /** Names of the encrypted settings, which are not read here. */
  readonly profiles: readonly string[];
  /** Every other table that has rows, and how many. */
  readonly tables: Readonly<Record<string, number>>;
  /** Ways into the envelope beside the passphrase, which are not read here: `mnemonic`, `hardware`, …. */
  readonly otherSlots: readonly string[];
  /**
   * Opens the value of one of {@link secrets}.
   *
   * @returns The caller zeroes it.
   * @throws CryptoError `ERR_DECRYPTION_FAILED` when it was altered, `ERR_NOT_FOUND`.
   */
  read(name: string): Bytes;
  /** Whether another process has a file open that is this database under another name, without a log beside it. */
  isOpenElsewhere(file: string): boolean;
  /** Zeroes the keys. Idempotent. */
  close(): void;
}
