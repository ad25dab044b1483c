import type { CryptoErrorCode, CryptoProvider, SignatureAlgorithm } from "@lango/crypto-core";
import type { Kdf, SlotCredential } from "@lango/envelope";
import type {
  CredentialKind,
  SkippedSource,
  SlotInfo,
  Unlocker,
  UnlockResult,
} from "@lango/unlock";
import type { Approvals } from "./approval-types.ts";
import type { AuditRecord, RecordsOptions } from "./audit-record-types.ts";
import type { Backups } from "./backup-types.ts";
import type { Companions } from "./companion-types.ts";
import type { DatabaseEncryption, DatabaseState, DatabaseWish } from "./database-types.ts";
import type { Fingerprints } from "./fingerprints.ts";
import type { Keys } from "./key-types.ts";
import type { DataKeyGroup, ProviderKey, Providers } from "./provider-types.ts";
import type { RekeyOptions, RekeyResult, RenewOptions, RenewResult } from "./rekey-types.ts";
import type { Rotation, RotationStatus, VaultDataKeys } from "./rotation-types.ts";
import type { Secrets } from "./secret-types.ts";
import type { HandedOver, SlotSummary, Slots } from "./slot-types.ts";

/** Who asks. An `agent` cannot see or name secrets under `wallet/` and `system/`. */
export type Audience = "owner" | "agent";

/** A PostgreSQL database that holds the rows and the slots of a vault. */
export interface StoreAddress {
  /** `postgres://user:password@host:port/database`, as `openStore` of `@lango/store` takes it. */
  readonly url: string;
}

/** What `createVault` takes. */
export interface CreateVaultOptions {
  /** The folder of the vault, e.g. `~/.lango`; made with mode 0700 when it is not there. */
  readonly home: string;
  /** Where its rows and slots are. Default: files in the home. */
  readonly store?: StoreAddress | undefined;
  /** What shall open the vault: 1 to 32, one keyslot each. The caller zeroes the secrets in them. */
  readonly credentials: readonly SlotCredential[];
  /** Key derivation of passphrase credentials that name none. Default: `defaultKdf()` of `@lango/envelope`. */
  readonly kdf?: Kdf | undefined;
  /** Takes a key derivation below the floor, too, and keeps it at openings. Default is false: it is refused. */
  readonly acceptWeakKdf?: boolean | undefined;
  /**
   * What the key `default` is: an encryption key of a provider, which then wraps the data keys alone. Tried before anything is
   * written. Default: a new local key, under the vault key.
   */
  readonly defaultKey?: ProviderKey | undefined;
  /** Whether the database is encrypted from its first byte. Default: it is not. */
  readonly database?: DatabaseWish | undefined;
  /** Milliseconds since the epoch. Default: `Date.now`. */
  readonly clock?: (() => number) | undefined;
}

/** What `openVault` takes. */
export interface OpenVaultOptions {
  readonly home: string;
  /** Where its rows and slots are. Default: files in the home. The log's outer files and pins are in the home in any case. */
  readonly store?: StoreAddress | undefined;
  /** Finds the passphrase or key; called once, with the slots of the vault. Its secret is zeroed here. */
  readonly unlock:
    | Pick<Unlocker, "obtain">
    | ((slots: readonly SlotInfo[]) => Promise<UnlockResult>);
  /**
   * Providers of keys that are not local, by scheme (`{ "aws-kms": provider }`). A key whose scheme is not here is
   * `ERR_KEY_NOT_FOUND`; nothing in the vault causes a provider to be loaded. The vault does not close them.
   */
  readonly providers?: Readonly<Record<string, CryptoProvider>> | undefined;
  /**
   * Whether new values are sealed under the vault key while the provider of their key cannot be reached (`ERR_UNAVAILABLE`,
   * `ERR_TIMEOUT`, `ERR_CIRCUIT_OPEN`; nothing else), for all providers or by scheme. A data key that the provider unwrapped in
   * the last 15 minutes goes first. Default is false: the write fails with the provider's error. Reading never falls back.
   */
  readonly fallbackToLocal?: boolean | Readonly<Record<string, boolean>> | undefined;
  readonly audit?: AuditOptions | undefined;
  /** How the database must be, or it is not opened (`ERR_CONFIG`). Default: as it is. */
  readonly database?: DatabaseWish | undefined;
  /** How long to wait for other processes that have the database locked, in milliseconds. Default: 5,000. */
  readonly busyTimeoutMs?: number | undefined;
  /** Milliseconds since the epoch. Default: `Date.now`. */
  readonly clock?: (() => number) | undefined;
}

export interface AuditOptions {
  /**
   * What happens to a read whose row cannot be committed because the database is locked or cannot grow. Default is `deny`:
   * the value is not released. `spool`: the row goes to `audit-spool.jsonl` (at most 16 MiB, then `deny`), and into the log
   * as soon as that can be written. What changes the vault is never spooled: it fails.
   */
  readonly onFailure?: "deny" | "spool" | undefined;
  /**
   * Name or URI of the signing key of the registry that anchors the log: every 256 rows, after 10 minutes, and when the vault
   * is closed. Default: no anchors. A key that is not there, is no signing key, or whose provider does not answer keeps
   * nothing from working: the anchor is tried again later, and `verify` and `status` say why there is none.
   */
  readonly anchor?: string | undefined;
  /**
   * Receives each anchor once it is in the log and in `audit-anchors.jsonl`, to send it to another machine: what is there
   * nobody can change here. One that is lost on the way is covered by the next.
   */
  readonly onAnchor?: ((anchor: AuditAnchor) => void | Promise<void>) | undefined;
}

/** What `acceptRollback` takes; as `openVault`. */
export type AcceptRollbackOptions = Pick<
  OpenVaultOptions,
  "home" | "store" | "unlock" | "busyTimeoutMs" | "clock"
>;
/** What `moveVault` takes. */
export interface MoveVaultOptions extends AcceptRollbackOptions {
  /** Where the vault goes: a database, or files of the home. */
  readonly to: StoreAddress | "home";
  /** How the file is that the vault leaves, or shall be to which it goes; for the latter default: in plaintext. */
  readonly database?: DatabaseWish | undefined;
  /**
   * Has lango look at the new place from now on, e.g. by changing a setting. Called when the vault is whole there and nobody
   * can write to the old place any more; the old files are put aside after it.
   */
  readonly switchOver: () => Promise<void>;
  readonly onProgress?: ((progress: MoveProgress) => void) | undefined;
  /** Ends the move before anything has changed, with `signal.reason`. Later it is too late, and not looked at. */
  readonly signal?: AbortSignal | undefined;
}
/** How far a move is, in rows. */
export interface MoveProgress {
  readonly stage: "copy" | "verify";
  readonly done: number;
  readonly total: number;
}
/** What `moveVault` did. */
export interface MovedVault {
  /** The old place and the new one, as errors name them: without passwords. */
  readonly from: string;
  readonly to: string;
  /** Rows that were copied and compared; 0 when an earlier call had done that already. */
  readonly rows: number;
  /** Data keys that seal nothing new any more. */
  readonly retiredDataKeys: number;
  /** Names of the old files in the home, which were renamed. They still hold the vault as it was. */
  readonly setAside: readonly string[];
}

/** What `acceptRollback` found and did. */
export interface AcceptedRollback {
  /** Which file was from earlier; `none`: they fit, or only an interrupted change had to be ended. */
  readonly older: "keyslots" | "store" | "none";
  /** Generation of the slots from now on. */
  readonly generation: number;
  /** Data keys that seal nothing new any more. */
  readonly retiredDataKeys: number;
  /** Names of files of anchors that the older database cannot contain; they were renamed. */
  readonly setAside: readonly string[];
}

/** What a home folder holds. `half-made`: an onboarding that never finished and may be made anew. */
export type HomeState = "absent" | "half-made" | "ready" | { readonly damaged: Error };

/** How the vault was opened. */
export interface UnlockedBy {
  /** By an agent: the slot with which the vault was opened for it. */
  readonly slotId: string;
  readonly kind: CredentialKind;
  /** `LANGO_PASSPHRASE`, `keyfile`, `prompt`, … */
  readonly source: string;
  /** Whether any process of the same user can read that source too. */
  readonly ambient: boolean;
  /** Sources that come earlier, and why each was passed over. */
  readonly skipped: readonly SkippedSource[];
}

/** An open vault. Safe to use from many callers at once and beside other processes. After `close`: `ERR_CLOSED`. */
export interface Vault extends AsyncDisposable {
  /** 32 hex characters. */
  readonly id: string;
  readonly home: string;
  readonly unlockedBy: UnlockedBy;
  readonly secrets: Secrets;
  readonly keys: Keys;
  readonly slots: Slots;
  readonly providers: Providers;
  readonly companions: Companions;
  readonly approvals: Approvals;
  readonly fingerprints: Fingerprints;
  readonly database: DatabaseEncryption;
  readonly rotation: Rotation;
  readonly dataKeys: VaultDataKeys;
  readonly audit: Audit;
  readonly backups: Backups;
  /**
   * Makes a new vault key: slots are made anew from credentials, and what the old key sealed is sealed anew, in constant
   * time. This vault is closed then, and every other that has it open fails with `ERR_LOCKED` at its next write.
   *
   * @throws `ERR_CONFLICT` for a slot that is neither kept nor dropped, when none would be left, or when another lango holds
   *   the lock; `ERR_NOT_FOUND`; `ERR_WRONG_PASSPHRASE` for a credential that does not open the slot which shall keep it;
   *   `ERR_INTEGRITY`, with `compromised`, for rows that are not as the log says, unless they are accepted;
   *   whatever a provider throws. Nothing has changed then.
   */
  rekey(options: RekeyOptions): Promise<RekeyResult>;
  /**
   * After a `rekey` with `compromised`: writes all rows anew under the new key of their MACs, then ends the former one. May be
   * called again after an interruption; does nothing where nothing is left to do.
   *
   * @throws `ERR_INTEGRITY` for rows under the former key that are not as the log says, by name. All others are written anew then.
   */
  renewRows(options?: RenewOptions): Promise<RenewResult>;
  status(): Promise<VaultStatus>;
  /**
   * Gives the vault key to an agent that keeps it for later openings, once a row of the log says so.
   *
   * @param detail - What the row says of the agent: how long it may keep the key.
   * @throws `ERR_DENIED` when an agent opened this vault: its key would never end.
   */
  handOver(detail: string): Promise<HandedOver>;
  /** Waits for audit rows under way, zeroes every key and closes the store. Idempotent. */
  close(): Promise<void>;
}

/**
 * What can be seen of a vault without its key. Nothing here is authenticated but by the hash chain. Of an encrypted database that
 * is `status` and `slots` alone: everything else is `ERR_LOCKED`.
 */
export interface LockedVault extends AsyncDisposable {
  readonly id: string;
  readonly home: string;
  /** Whether the database is encrypted. */
  readonly hidesRows: boolean;
  readonly secrets: Pick<Secrets, "list">;
  readonly keys: Pick<Keys, "list">;
  readonly slots: Pick<Slots, "list">;
  readonly companions: Pick<Companions, "list">;
  readonly audit: {
    /** Checks numbers, links and hashes of the chain, and row hashes with `rows`; MACs need the key. */
    verifyLinks(options?: VerifyOptions): Promise<AuditReport>;
    tail(count?: number): Promise<AuditEvent[]>;
    /** The newest success of an action, among the newest 100,000 rows. */
    findLast(action: string): Promise<AuditEvent | undefined>;
    /** As {@link Audit.records}. */
    records(options?: RecordsOptions): AsyncGenerator<AuditRecord, void, undefined>;
  };
  status(): Promise<LockedStatus>;
  close(): Promise<void>;
}

export interface VaultStatus {
  readonly id: string;
  /** Where the rows are: a file, or the address of a server without its password. */
  readonly location: string;
  readonly locked: boolean;
  /** How `lango.db` is encrypted. */
  readonly database: DatabaseState;
  readonly createdAt: number;
  readonly secretCount: number;
  readonly keyCount: number;
  readonly slots: readonly SlotSummary[];
  readonly slotGeneration: number;
  /** Whether rows may still be under the key of their MACs from before a compromise: see `renewRows`. */
  readonly renewing: boolean;
  /** Whether {@link degradedDataKeys} is more than 0. */
  readonly degraded: boolean;
  /** Data keys that were sealed by the fallback and wait to be wrapped by their provider. */
  readonly degradedDataKeys: number;
  /** By the key that wraps them. */
  readonly dataKeys: readonly DataKeyGroup[];
  /**
   * URI of the key without which nothing here can be opened: every slot is one of it, every data key is wrapped by it or by the
   * vault key behind those slots, and none is degraded. `null` when there is no such key, as with any slot of a passphrase.
   */
  readonly rootedIn: string | null;
  /** The rotation that was begun and has not ended; `null` when there is none. */
  readonly rotation: RotationStatus | null;
  /**
   * How the slots stand to the database. `unfinished`: the next opening ends a change that was interrupted; `older`: the slots
   * are from earlier; `newer`: the database is.
   */
  readonly slotFile: "settled" | "unfinished" | "older" | "newer";
  /** Absent while locked. */
  readonly unlockedBy?: UnlockedBy | undefined;
  /** Absent while locked, and where no key anchors the log. */
  readonly anchors?: AnchorStatus | undefined;
}

/** What a status takes from the database, beside `rotation` and `rootedIn`, which may be `null` at any time. */
type FromDatabase =
  | "createdAt"
  | "secretCount"
  | "keyCount"
  | "slotFile"
  | "degraded"
  | "degradedDataKeys"
  | "dataKeys";

/** The status of a locked vault: what only an encrypted database could tell is `null`. */
export type LockedStatus = Omit<VaultStatus, FromDatabase> & {
  readonly [Fact in FromDatabase]: VaultStatus[Fact] | null;
};

/** Who did it. */
export interface AuditActor {
  readonly kind: Audience;
  readonly pid: number;
  readonly uid?: number | undefined;
  /** The source that unlocked the vault; `none` while it was locked. */
  readonly source: string;
}
/** What other parts of Lango report. Names only: a value never goes here. */
export interface AuditInput {
  /** `run.start`, `approval.grant`, …: 1 to 64 characters of `[A-Za-z0-9.-]`. */
  readonly action: string;
  /** The secret, key or slot that it was about. */
  readonly target?: string | undefined;
  readonly outcome?: "success" | "failure" | undefined;
  /** Why it failed. */
  readonly code?: CryptoErrorCode | undefined;
  /** One short line; no secret. */
  readonly detail?: string | undefined;
  readonly audience?: Audience | undefined;
  /** `full` (the default) survives a power cut; `normal` survives the death of the process. */
  readonly durability?: "normal" | "full" | undefined;
}
/** One event of the log. Several reads of one moment share a `seq`. */
export interface AuditEvent {
  readonly seq: number;
  /** Milliseconds since the epoch. */
  readonly ts: number;
  readonly actor: AuditActor;
  readonly action: string;
  readonly target?: string | undefined;
  readonly version?: number | undefined;
  readonly outcome: "success" | "failure";
  readonly code?: string | undefined;
  readonly detail?: string | undefined;
  /** Of approvals, grants, handles and policies: tool, session, destination, who said yes, … */
  readonly about?: Readonly<Record<string, string>> | undefined;
  /** False for what was noted while the vault was locked: any process of this user could have written it. */
  readonly authenticated: boolean;
}
/**
 * A signature over a row of the log, and by its hash over all rows before. Plain JSON, as in `audit-anchors.jsonl`. Signed is
 * parts(`lango/v1/anchor`, vault id, seq as u64, hash).
 */
export interface AuditAnchor {
  /** 32 hex characters. */
  readonly vaultId: string;
  /** Milliseconds since the epoch; not signed. */
  readonly ts: number;
  readonly seq: number;
  /** Hash of that row, 64 hex characters. */
  readonly hash: string;
  /** URI of the key, e.g. `local:log`. */
  readonly uri: string;
  readonly keyVersion: string;
  readonly algorithm: SignatureAlgorithm;
  /** Base64. ECDSA is r‖s (IEEE P1363). */
  readonly signature: string;
  /** Base64 of DER SubjectPublicKeyInfo. */
  readonly publicKey: string;
}
/** How anchoring goes in this process. */
export interface AnchorStatus {
  /** The key that was configured. */
  readonly key: string;
  /** The newest row that was seen to be signed, if any yet. */
  readonly seq?: number | undefined;
  /** Why the last attempt failed. It is made again. */
  readonly problem?: string | undefined;
}
export interface VerifyOptions {
  /** Compares the rows of secrets, keys and slots with the chain too. Default is false. */
  readonly rows?: boolean | undefined;
  /**
   * DER SubjectPublicKeyInfo of the keys that may anchor, noted elsewhere. Then anchors by other keys do not count. Bytes
   * that are no public key are `ERR_INVALID_ARGUMENT`.
   */
  readonly anchorKeys?: readonly Uint8Array[] | undefined;
  /** Anchors that were kept elsewhere; they are compared like those of `audit-anchors.jsonl`. */
  readonly anchors?: readonly AuditAnchor[] | undefined;
}
/**
 * Where the public key that an anchor was checked with came from. `given`: from the caller, which proves most. `registry`:
 * from the keys of the vault, which a holder of the vault can change. `anchor`: from the anchor itself, which anybody can make.
 */
export type AnchorKeySource = "given" | "registry" | "anchor";
export interface AnchorReport {
  /** Anchors in the chain whose signature verifies, by where their key came from. */
  readonly checkedWith: Readonly<Record<AnchorKeySource, number>>;
  /** Anchors found outside the database. */
  readonly outside: number;
  /** Lines of the files that cannot be read. No faults: whoever can damage a line can remove it. */
  readonly unreadable: number;
  /** The newest row that an anchor counts for, with the key of it. */
  readonly last?: { readonly seq: number; readonly uri: string; readonly key: AnchorKeySource };
  /** What the anchors do not prove, a sentence each. */
  readonly remarks: readonly string[];
  /** Why there is no newer one; see {@link AnchorStatus}. */
  readonly problem?: string | undefined;
}
export interface SpoolReport {
  /** Rows that wait to come into the chain. */
  readonly waiting: number;
  /** Rows of the chain that say that a spool file was damaged or cut. */
  readonly damaged: readonly number[];
}
export interface AuditFault {
  /** The row at which it shows. 0: no single row. */
  readonly seq: number;
  /** One line. */
  readonly problem: string;
}
export interface AuditReport {
  readonly ok: boolean;
  /** Rows in the chain. */
  readonly rows: number;
  /** Hash of the newest row, in hex; note it elsewhere, and a later cut of the log can be shown. */
  readonly head: string;
  /** At most 100. */
  readonly faults: readonly AuditFault[];
  /**
   * Rows after the last one that an anchor counts for: they can be cut off unseen by whoever can write the database. The rows
   * of the anchors themselves are left out.
   */
  readonly unanchored: number;
  readonly anchors: AnchorReport;
  readonly spool: SpoolReport;
}

/** The hash-chained log. */
export interface Audit {
  /** Adds an event; resolves when it is committed. */
  append(event: AuditInput): Promise<{ readonly seq: number }>;
  verify(options?: VerifyOptions): Promise<AuditReport>;
  /** The newest events, oldest first. Default is 50. */
  tail(count?: number): Promise<AuditEvent[]>;
  /** The newest success of an action, among the newest 100,000 rows. */
  findLast(action: string): Promise<AuditEvent | undefined>;
  /**
   * Reads events in order, a page of rows at a time, with the hash of each row. Their links are checked on the way: a row that
   * does not fit ends it with `ERR_INTEGRITY`. MACs and what is before `from` are for {@link verify}.
   */
  records(options?: RecordsOptions): AsyncGenerator<AuditRecord, void, undefined>;
  /** The first event of a row, once its hash and MAC were found right; `undefined` for a row that is not there, or not sound. */
  read(seq: number): Promise<AuditEvent | undefined>;
}
