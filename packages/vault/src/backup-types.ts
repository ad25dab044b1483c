import type { Bytes } from "@lango/crypto-core";
import type { SlotSummary } from "./slot-types.ts";
import type { OpenVaultOptions } from "./types.ts";

/** One file of a {@link Snapshot}. */
export interface SnapshotFile {
  /** As in the home: `keyslots.json`, `config.json`, `audit-anchors.jsonl`, `audit-anchors.1.jsonl` or `lango.db`. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** The content from its start, as often as it is called. */
  chunks(): AsyncIterable<Uint8Array>;
}

/** What a backup holds, all of one moment. Key files, passphrases and sockets are no part of it. */
export interface Snapshot {
  /** 32 hex characters. */
  readonly vaultId: string;
  readonly slotGeneration: number;
  /** Version of the database's schema. */
  readonly schema: number;
  /** The server whose rows were copied into `lango.db`, without a password; `undefined` where the vault has that file. */
  readonly from: string | undefined;
  /** `lango.db` is the last. */
  readonly files: readonly SnapshotFile[];
  /**
   * 32 bytes: HMAC-SHA-256(HKDF-SHA-256(vault key, salt = vault id, `lango/v1/backup`), manifest). By it a restore knows
   * that whoever made the backup could open the vault.
   */
  mac(manifest: Uint8Array): Bytes;
}

/** Copies of the vault. */
export interface Backups {
  /**
   * Copies the vault while others go on using it. Slots and database are of one moment: the lock of the vault is held while
   * the database is copied, and not while the copy is used. The copy has no name any more by then, and is gone with this process.
   *
   * Of a vault on a server every row is copied into a file, in one snapshot of the server, and compared; that file is encrypted
   * where the vault was opened with the wish for it. The settings then say that the rows are in a file.
   *
   * @param use - Does something with the copy, which is there until it ends.
   * @param options.signal - Ends the copying from a server, with its reason.
   * @throws {@link CryptoError} `ERR_CONFLICT` when another lango is changing the slots; `ERR_BUSY` when the disk is full;
   *   `ERR_UNAVAILABLE` when the connection to the server was lost. What `use` throws.
   */
  take<T>(
    use: (snapshot: Snapshot) => Promise<T>,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<T>;
}

/** What `restoreVault` takes. */
export interface RestoreVaultOptions
  extends Pick<OpenVaultOptions, "unlock" | "busyTimeoutMs" | "clock"> {
  /** The folder with the files of the backup, which nobody uses yet. */
  readonly home: string;
  /** What {@link Snapshot.mac} was given, and gave. */
  readonly manifest: Uint8Array;
  readonly mac: Uint8Array;
  /** What the log shall say of the backup: one short line. */
  readonly origin: string;
  /** The home that it is to take the place of, if there is one. It is only read. */
  readonly replaces?: string | undefined;
  /** Checks everything and changes nothing. Default false. */
  readonly dryRun?: boolean | undefined;
}

/** What `restoreVault` found and did; with `dryRun`, would do. */
export interface RestoredVault {
  readonly vaultId: string;
  /** Generation of the slots in the backup, and from now on. */
  readonly generation: { readonly backup: number; readonly now: number };
  readonly databaseEncrypted: boolean;
  readonly secretCount: number;
  readonly keyCount: number;
  /** Rows of the log, which were all checked. */
  readonly auditRows: number;
  /** Data keys that seal nothing new any more. */
  readonly retiredDataKeys: number;
  /** Grants and handles that are gone. */
  readonly droppedPermits: number;
  /** Paired devices that wait to be confirmed. */
  readonly suspendedCompanions: number;
  /** Slots that the replaced home has no more, and that are in force again. `undefined`: nothing is known of a later state. */
  readonly returnedSlots: readonly SlotSummary[] | undefined;
}
