import type { Bytes } from "@lango/crypto-core";
import type { CopyReads, CopyRows } from "./copy-types.ts";
import type { CipherState, Recrypted, RecryptOptions } from "./recrypt-types.ts";
import type {
  AuditHead,
  AuditRow,
  CompanionResultRow,
  CompanionRow,
  Counts,
  CurrentSecret,
  DataKeyRow,
  JobRow,
  KeyRow,
  KeyslotsRow,
  KeyVersionRow,
  OrphanVersion,
  PermitRow,
  PolicyRow,
  Reseal,
  SealedVersion,
  SecretRow,
  SecretVersionInfo,
  SecretVersionRow,
  VaultRow,
  VersionOfSecret,
} from "./rows.ts";

/** Reads of the singleton table `vault`. */
export interface VaultReads {
  get(): Promise<VaultRow | undefined>;
}

/** Reads and writes of the singleton table `vault`. */
export interface VaultRows extends VaultReads {
  /** @throws {@link CryptoError} `ERR_CONFLICT` when there is a row. */
  insert(row: VaultRow): Promise<void>;
  /**
   * Replaces the row if its `mac` still is `ifMac`.
   *
   * @throws {@link CryptoError} `ERR_CONFLICT` when it is not.
   */
  update(row: VaultRow, ifMac: Bytes): Promise<void>;
}

/** Reads of the singleton table `keyslots`: the slots where they are a row beside the others, and no file. */
export interface KeyslotsReads {
  get(): Promise<KeyslotsRow | undefined>;
}

/** Reads and writes of the singleton table `keyslots`. */
export interface KeyslotsRows extends KeyslotsReads {
  /** @throws {@link CryptoError} `ERR_CONFLICT` when there is a row. */
  insert(row: KeyslotsRow): Promise<void>;
  /**
   * Replaces the row if its generation still is `ifGeneration`.
   *
   * @throws {@link CryptoError} `ERR_CONFLICT` when it is not.
   */
  replace(row: KeyslotsRow, ifGeneration: number): Promise<void>;
}

/** Reads of tables `keys` and `key_versions`. */
export interface KeyReads {
  find(id: string): Promise<KeyRow | undefined>;
  findByName(name: string): Promise<KeyRow | undefined>;
  /** All keys, by name. */
  list(): Promise<KeyRow[]>;
  findVersion(keyId: string, version: string): Promise<KeyVersionRow | undefined>;
  /** All versions of a key, oldest first. */
  listVersions(keyId: string): Promise<KeyVersionRow[]>;
}

/** Reads and writes of tables `keys` and `key_versions`. */
export interface KeyRows extends KeyReads {
  /** @throws {@link CryptoError} `ERR_CONFLICT` when the id or the name is taken. */
  insert(row: KeyRow): Promise<void>;
  /**
   * Replaces the row (all but `id`, `createdAt`, `lastUsedAt`) if its `mac` still is `ifMac`.
   *
   * @throws {@link CryptoError} `ERR_CONFLICT` when it is not, or when the new name is taken.
   */
  update(row: KeyRow, ifMac: Bytes): Promise<void>;
  /** Sets `lastUsedAt`, never back. */
  touch(id: string, lastUsedAt: number): Promise<void>;
  /** @throws {@link CryptoError} `ERR_CONFLICT` when the version exists or its key does not. */
  insertVersion(row: KeyVersionRow): Promise<void>;
  /** Replaces the row (all but `createdAt`) if its `mac` still is `ifMac`, else `ERR_CONFLICT`. */
  updateVersion(row: KeyVersionRow, ifMac: Bytes): Promise<void>;
}

/** Reads of table `data_keys`. */
export interface DataKeyReads {
  find(id: string): Promise<DataKeyRow | undefined>;
  findActive(keyId: string, domain: string): Promise<DataKeyRow | undefined>;
  /** All data keys, oldest first. */
  list(): Promise<DataKeyRow[]>;
}

/** Reads and writes of table `data_keys`. */
export interface DataKeyRows extends DataKeyReads {
  /** @throws {@link CryptoError} `ERR_CONFLICT` when the id is taken or (`keyId`, `domain`) has an active one: read that. */
  insert(row: DataKeyRow): Promise<void>;
  /**
   * Replaces `wrapped`, `wrapUri`, `wrapVersion`, `state`, `degraded` and `mac` if `mac` still is `ifMac`.
   *
   * @throws {@link CryptoError} `ERR_CONFLICT` when it is not, or when another data key is active.
   */
  update(row: DataKeyRow, ifMac: Bytes): Promise<void>;
  /**
   * As `update`, for a row without `wrapped` bytes: from then on nothing opens what this data key sealed. Looks in the same
   * statement whether it is needed, by a kept version or because it is active.
   *
   * @returns False when it is; nothing is changed then.
   * @throws {@link CryptoError} `ERR_CONFLICT` when `mac` is not `ifMac`.
   */
  retire(row: DataKeyRow, ifMac: Bytes): Promise<boolean>;
  /**
   * Reserves messages and bytes of an active data key in one statement, so that a crash cannot lose a count.
   *
   * @returns What is reserved in all, this reservation included.
   * @throws {@link CryptoError} `ERR_KEY_RETIRED` when the key is not active or the sum would pass
   *   2^30 messages or 2^50 bytes.
   */
  reserve(
    id: string,
    messages: number,
    bytes: number,
  ): Promise<{ messages: number; bytes: number }>;
}

/** Options of {@link SecretReads.list}. */
export interface SecretPage {
  readonly collection: string;
  /** Names after this one (exclusive), in the order of their UTF-8 bytes. Default: from the first. */
  readonly after?: string;
  /** 1 to 1,000 rows. Default 500. */
  readonly limit?: number;
}

/** How much of a page to read. */
export interface SealedPage {
  /** 1 to 1,000 rows. */
  readonly limit: number;
  /** Bytes of sealed values in all; one row comes in any case. */
  readonly maxBytes: number;
}

/** Where a version is in the order of `walkSealed`. */
export type VersionPlace = Pick<SealedVersion, "id" | "version">;

/** Reads of tables `secrets` and `secret_versions`. */
export interface SecretReads {
  /** The hot read: a live secret with its current version, in one statement. */
  find(collection: string, name: string): Promise<CurrentSecret | undefined>;
  /** The row without a value; of a deleted name, its tombstone. */
  describe(collection: string, name: string): Promise<SecretRow | undefined>;
  /** A kept version with its value. */
  findVersion(secretId: string, version: number): Promise<SecretVersionRow | undefined>;
  /** Kept versions without their values, newest first. */
  listVersions(secretId: string): Promise<SecretVersionInfo[]>;
  /** One page of live secrets without their values, by name. Fewer rows than `limit`: it was the last page. */
  list(page: SecretPage): Promise<SecretRow[]>;
  /** Rows of all collections after a place, tombstones included. None: it was the last page. */
  walk(
    after: Pick<SecretRow, "collection" | "name"> | undefined,
    limit: number,
  ): Promise<SecretRow[]>;
  /**
   * Kept versions of all collections that a data key sealed, in no order. None, with nothing skipped: no version needs it.
   *
   * @param skip - How many of them to pass over, as they are being worked on. Default 0. Nothing but the order in which the
   *   database finds them says which: some may come twice.
   */
  listSealedBy(dataKeyId: string, page: SealedPage, skip?: number): Promise<VersionOfSecret[]>;
  /** Kept versions of all collections after a place, by secret id and version. None: it was the last page. */
  walkSealed(after: VersionPlace | undefined, page: SealedPage): Promise<SealedVersion[]>;
  /** How many kept versions a data key sealed. Counts them: 1,000,000 take some 50 ms. */
  countSealedBy(dataKeyId: string): Promise<number>;
  /** Up to `limit` (1 to 1,000) versions whose secret has lost its row, which only somebody else can have removed. Looks at all versions. */
  listOrphans(limit: number): Promise<OrphanVersion[]>;
}

/** The columns of a secret that change with a new version. */
export type SecretChange = Pick<SecretRow, "id" | "keyId" | "currentVersion" | "updatedAt" | "mac">;

/** Reads and writes of tables `secrets` and `secret_versions`. */
export interface SecretRows extends SecretReads {
  /**
   * Adds a name with its first version; `uses` starts at 0.
   *
   * @throws {@link CryptoError} `ERR_CONFLICT` when the name is taken, also by a tombstone; `ERR_KEY_RETIRED` when the
   *   data key is not active: seal again under the active one.
   */
  insertSecret(secret: SecretRow, version: SecretVersionRow): Promise<void>;
  /**
   * Adds a version and makes it the current one; a tombstone comes to life again.
   *
   * @param ifVersion - The version that must be current, else `ERR_CONFLICT`.
   * @throws {@link CryptoError} `ERR_KEY_RETIRED` when the data key is not active: seal again under the active one.
   */
  addVersion(change: SecretChange, version: SecretVersionRow, ifVersion: number): Promise<void>;
  /**
   * Puts values that were sealed again in the place of the old ones, where those are still there.
   *
   * @returns For each value, whether it was: a version that was removed or sealed again meanwhile stays as it is.
   * @throws {@link CryptoError} `ERR_KEY_RETIRED` when a data key is not active: seal again under the active one.
   */
  reseal(values: readonly Reseal[]): Promise<boolean[]>;
  /** Replaces the `mac` of a row if that still is `ifMac`. Returns whether it was. */
  setMac(id: string, mac: Bytes, ifMac: Bytes): Promise<boolean>;
  /** Deletes a version whose secret has no row. Returns whether it was there. */
  removeOrphan(version: Pick<OrphanVersion, "secretId" | "version">): Promise<boolean>;
  /** Deletes all but the newest `keep` versions. Returns how many went. */
  pruneVersions(secretId: string, keep: number): Promise<number>;
  /**
   * Deletes every version and leaves the row as a tombstone with its last version; `updatedAt` becomes `deletedAt`.
   *
   * @throws {@link CryptoError} `ERR_CONFLICT` when the current version is not `ifVersion` or the row is a tombstone.
   */
  tombstone(
    change: { readonly id: string; readonly deletedAt: number; readonly mac: Bytes },
    ifVersion: number,
  ): Promise<void>;
  /** Adds to `uses` and sets `lastUsedAt`, never back. */
  touch(id: string, uses: number, lastUsedAt: number): Promise<void>;
}

/** Reads of table `permits`. */
export interface PermitReads {
  find(id: string): Promise<PermitRow | undefined>;
  /** All of a kind, oldest first. */
  list(kind: PermitRow["kind"]): Promise<PermitRow[]>;
  /** Those of a kind and a subject, oldest first. */
  listFor(kind: PermitRow["kind"], subject: string): Promise<PermitRow[]>;
}

/** Reads and writes of table `permits`. */
export interface PermitRows extends PermitReads {
  /** @throws {@link CryptoError} `ERR_CONFLICT` when the id is taken. */
  insert(row: PermitRow): Promise<void>;
  /** Replaces `uses`, `lastUsedAt` and `mac` if `mac` still is `ifMac`, else `ERR_CONFLICT`. */
  use(row: PermitRow, ifMac: Bytes): Promise<void>;
  /** Removes the row. One that is not there is no error. */
  remove(id: string): Promise<void>;
}

/** Reads of table `policies`. */
export interface PolicyReads {
  find(subject: string): Promise<PolicyRow | undefined>;
  /** All of them, by subject. */
  list(): Promise<PolicyRow[]>;
}

/** Reads and writes of table `policies`. */
export interface PolicyRows extends PolicyReads {
  /** Adds the row or replaces the one of its subject. */
  put(row: PolicyRow): Promise<void>;
  /** Removes the row. One that is not there is no error. */
  remove(subject: string): Promise<void>;
}

/** Reads of the audit chain. */
export interface AuditReads {
  head(): Promise<AuditHead>;
  /** Up to `limit` (1 to 1,000) rows with `seq >= from`, in order. */
  page(from: number, limit: number): Promise<AuditRow[]>;
  /** The last `count` (1 to 1,000) rows, in order. */
  tail(count: number): Promise<AuditRow[]>;
  /** Where the vault is now, once it has been moved out of this database; see {@link AuditRows.endHere}. */
  movedTo(): Promise<string | undefined>;
}

/** Reads of the audit chain, and its one write. */
export interface AuditRows extends AuditReads {
  /**
   * The head, locked until the transaction ends. Take it after every other lock of the transaction: it is the row that
   * all writers share.
   *
   * @throws {@link CryptoError} `ERR_CONFLICT` when the vault was moved out of this database.
   */
  lockHead(): Promise<AuditHead>;
  /**
   * Appends rows that go on from the head, all of its epoch.
   *
   * @param lastMac - What the MAC of the last row must be: only so is the head's epoch more than a number that anybody can write.
   *   Default: it may be any.
   * @throws {@link CryptoError} `ERR_CONFLICT` (retryable) when the first row does not follow the head, or the rows are
   *   not consecutive; `ERR_INTEGRITY` when the last row has another MAC.
   */
  append(rows: readonly AuditRow[], lastMac?: Bytes): Promise<void>;
  /** Sets the epoch that the next rows must have, which keeps out whoever writes rows of another. */
  setEpoch(epoch: number): Promise<void>;
  /**
   * Ends the chain here, because the vault was moved: whoever has this database open and writes gets `ERR_CONFLICT` from
   * then on, since every change of a vault takes the head. The rows stay.
   *
   * @param movedTo - Where the vault is now, as errors name it.
   */
  endHere(movedTo: string): Promise<void>;
}

/** Reads of tables `companions` and `companion_results`. */
export interface CompanionReads {
  find(id: string): Promise<CompanionRow | undefined>;
  findByFingerprint(fingerprint: string): Promise<CompanionRow | undefined>;
  /** All of them, by name. */
  list(): Promise<CompanionRow[]>;
  findResult(peerId: string, requestId: string): Promise<CompanionResultRow | undefined>;
}

/** Reads and writes of tables `companions` and `companion_results`. */
export interface CompanionRows extends CompanionReads {
  /** @throws {@link CryptoError} `ERR_CONFLICT` when the id or the fingerprint is taken. */
  insert(row: CompanionRow): Promise<void>;
  /**
   * Replaces `name`, `fingerprint`, `state` and `mac` if `mac` still is `ifMac`.
   *
   * @throws {@link CryptoError} `ERR_CONFLICT` when it is not, or when the new fingerprint is taken.
   */
  update(row: CompanionRow, ifMac: Bytes): Promise<void>;
  /** Deletes the row if its `mac` still is `ifMac`, else `ERR_CONFLICT`. Its results stay until they are old. */
  remove(id: string, ifMac: Bytes): Promise<void>;
  /** Returns false when there is a row of that peer and request, which stays as it is. */
  insertResult(row: CompanionResultRow): Promise<boolean>;
  /** Deletes the results from before a time. */
  pruneResults(before: number): Promise<void>;
}

/** Reads of table `jobs`. */
export interface JobReads {
  find(kind: string): Promise<JobRow | undefined>;
  /** All of them, by kind. */
  list(): Promise<JobRow[]>;
}

/** Reads and writes of table `jobs`. */
export interface JobRows extends JobReads {
  /**
   * Adds the row; with `ifMac`, replaces the one of its kind if its `mac` still is that.
   *
   * @throws {@link CryptoError} `ERR_CONFLICT` when there is a job of that kind, or with `ifMac` when there is another one.
   */
  put(row: JobRow, ifMac?: Bytes): Promise<void>;
  /** Deletes the row if its `mac` still is `ifMac`, else `ERR_CONFLICT`. */
  remove(kind: string, ifMac: Bytes): Promise<void>;
}

/** What can be read outside a transaction: committed rows only. */
export interface StoreReads {
  readonly vault: VaultReads;
  readonly keyslots: KeyslotsReads;
  readonly keys: KeyReads;
  readonly dataKeys: DataKeyReads;
  readonly secrets: SecretReads;
  readonly companions: CompanionReads;
  readonly permits: PermitReads;
  readonly policies: PolicyReads;
  readonly jobs: JobReads;
  readonly audit: AuditReads;
  readonly copy: CopyReads;
  /** At constant cost, however many rows there are. */
  counts(): Promise<Counts>;
}

/** A transaction: reads see its own writes. Unusable (`ERR_CLOSED`) once it has ended. */
export interface StoreTransaction extends StoreReads {
  readonly vault: VaultRows;
  readonly keyslots: KeyslotsRows;
  readonly keys: KeyRows;
  readonly dataKeys: DataKeyRows;
  readonly secrets: SecretRows;
  readonly companions: CompanionRows;
  readonly permits: PermitRows;
  readonly policies: PolicyRows;
  readonly jobs: JobRows;
  readonly audit: AuditRows;
  readonly copy: CopyRows;
  /** Deletes every row of every table: for a vault whose onboarding was interrupted. */
  reset(): Promise<void>;
}

/**
 * `full` survives a power cut once committed; `normal` survives `kill -9`, a power cut may lose the last commits. On a server
 * a crash of the server may lose them too.
 */
export type Durability = "normal" | "full";

/** An open store. Rows in, rows out: it seals nothing and checks no MAC. */
export interface Store extends StoreReads, AsyncDisposable {
  /** The database file, absolute, symbolic links resolved; or the URL of the server without its password. */
  readonly location: string;
  /** How the file is encrypted; `undefined` for one in plaintext, and for a server. */
  readonly cipher?: CipherState | undefined;
  /**
   * Runs a writing transaction: commits when `run` resolves, rolls back and rethrows when it rejects.
   *
   * Transactions of one store run one after the other; against other processes the start is retried with jitter, or
   * waits for its turn on a server, for about 5 s. There `run` is called before the turn has come, and its first statement waits
   * for it: what `run` needs of the database it asks `tx`. `run` must await only `tx` and short work: everybody else waits for it. It must not start another
   * transaction of the same store, which would wait for itself. Once a statement has failed the transaction runs no
   * other and cannot commit, even if its error was caught.
   *
   * @throws {@link CryptoError} `ERR_BUSY` (retryable) when other processes kept the database locked; `ERR_CONFLICT`
   *   when a newer lango has migrated it meanwhile; `ERR_ACCESS_DENIED` in mode `read`; `ERR_UNAVAILABLE` when the
   *   connection to a server was lost: retryable, nothing was written; or not retryable when that was during the commit,
   *   whose outcome is then unknown.
   */
  transaction<T>(durability: Durability, run: (tx: StoreTransaction) => Promise<T>): Promise<T>;
  /**
   * Runs while no other process holds the same lock; the kernel frees it when the process dies, or the server when its
   * connection ends, so it cannot be stale. Not re-entrant. Does not keep transactions of others out.
   *
   * @param options.waitMs - How long to wait for another lango that holds it. Default: about 5 s.
   * @throws {@link CryptoError} `ERR_CONFLICT` when another lango still holds it after that; `ERR_ACCESS_DENIED` in mode
   *   `read`; `ERR_UNAVAILABLE`, not retryable, when its connection to a server was lost while `run` ran.
   */
  withLock<T>(run: () => Promise<T>, options?: { readonly waitMs?: number }): Promise<T>;
  /**
   * Copies the database, as it is at one moment however many write to it, into a new file of mode 0600, and waits until that
   * is on the disk. An encrypted database stays encrypted. Blocks the event loop meanwhile. A failure leaves no file, a killed
   * process a part of one. Absent where the database is no file.
   *
   * @throws {@link CryptoError} `ERR_CONFLICT` when `file` is there; `ERR_BUSY` when the disk is full; `ERR_ACCESS_DENIED` in
   *   mode `read`.
   */
  copyTo?(file: string): Promise<void>;
  /**
   * Runs with reads that all see the database as it is when they begin, however many write to it. They keep nobody waiting, nor
   * anybody them. Absent where the database is a file, for which there is {@link copyTo}.
   *
   * @throws {@link CryptoError} `ERR_CONFLICT` when a newer lango has migrated it; `ERR_UNAVAILABLE` when the connection was lost.
   */
  snapshot?<T>(run: (reads: StoreReads) => Promise<T>): Promise<T>;
  /**
   * Encrypts, decrypts or encrypts anew the whole file, as a copy that is checked and then takes its place: whenever the process
   * dies the old file is there, whole, or the new one. Call it under {@link withLock}. This store goes on with the new
   * file; whatever else has the old one open gets `ERR_CONFLICT`. Only where the database is a file.
   *
   * @throws {@link CryptoError} `ERR_BUSY` when another store or program has the file open, or the disk has no room for
   *   two copies; `ERR_PROVIDER_NOT_INSTALLED` without a driver for it; `ERR_INTEGRITY` when the database is damaged.
   */
  recrypt?(options: RecryptOptions): Promise<Recrypted>;
  /**
   * Checks every page, table, index, foreign key and counter. Returns one line per fault; empty when sound. Reads the whole
   * file in one step, which blocks the event loop.
   */
  integrityCheck(): Promise<string[]>;
  /** Waits for running transactions, then closes. Later calls reject with `ERR_CLOSED`; closing again does nothing. */
  close(): Promise<void>;
}
