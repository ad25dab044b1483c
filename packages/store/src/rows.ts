import type { Bytes } from "@lango/crypto-core";

/** A vault that is being set up, or one that is ready for use. */
export type VaultState = "onboarding" | "ready";

/**
 * The one row of table `vault`. Times are milliseconds since 1970; `mac` is computed and checked by the caller.
 * `null` means absent.
 */
export interface VaultRow {
  readonly vaultId: string;
  readonly format: number;
  readonly state: VaultState;
  readonly createdAt: number;
  /** Generation and MAC of the keyslots file in force. */
  readonly slotGeneration: number;
  readonly slotMac: Bytes;
  /** Generation and MAC of a keyslots file that is being written. Both null when none is. */
  readonly pendingGeneration: number | null;
  readonly pendingMac: Bytes | null;
  /** The audit key, sealed. */
  readonly auditKey: Bytes;
  readonly auditEpoch: number;
  readonly mac: Bytes;
}

/** The slots of a vault whose slots are a row and no file. */
export interface KeyslotsRow {
  readonly generation: number;
  /** What `keyslots.json` would hold. */
  readonly document: Bytes;
}

/** A key of the registry. */
export interface KeyRow {
  readonly id: string;
  /** Unique in the vault. */
  readonly name: string;
  readonly type: "encryption" | "signing";
  readonly algorithm: string;
  /** Provider name, e.g. `local`. */
  readonly provider: string;
  readonly remoteKeyId: string | null;
  /** The current version. */
  readonly keyVersion: string;
  /** SPKI DER. */
  readonly publicKey: Bytes | null;
  readonly state: string;
  readonly createdAt: number;
  /** Changed by `touch` alone: keep it out of the MAC. */
  readonly lastUsedAt: number | null;
  readonly mac: Bytes;
}

/** One version of a key; the primary key is (`keyId`, `version`). */
export interface KeyVersionRow {
  readonly keyId: string;
  readonly version: string;
  /** Local material, sealed. Null for a remote key. */
  readonly sealed: Bytes | null;
  readonly publicKey: Bytes | null;
  readonly state: string;
  readonly createdAt: number;
  readonly mac: Bytes;
}

export type DataKeyState = "active" | "decrypt-only" | "retired";

/** A data key, wrapped. */
export interface DataKeyRow {
  /** 24 hex digits. */
  readonly id: string;
  /** The key of the registry that wraps it. */
  readonly keyId: string;
  readonly domain: string;
  readonly wrapped: Bytes;
  readonly wrapUri: string;
  readonly wrapVersion: string;
  /** At most one data key per (`keyId`, `domain`) is active. */
  readonly state: DataKeyState;
  /** Wrapped by the vault key because the provider could not be reached. */
  readonly degraded: boolean;
  /** Messages and bytes reserved so far; changed by `reserve` alone: keep both out of the MAC. */
  readonly messages: number;
  readonly bytes: number;
  readonly createdAt: number;
  readonly mac: Bytes;
}

/** A named secret without its value. */
export interface SecretRow {
  readonly id: string;
  readonly collection: string;
  /** Unique in its collection. */
  readonly name: string;
  readonly keyId: string;
  /** Never restarts, also when a deleted name is used again. */
  readonly currentVersion: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Set on a tombstone, which has no versions. */
  readonly deletedAt: number | null;
  readonly mac: Bytes;
  /** Changed by `touch` alone: keep both out of the MAC. */
  readonly uses: number;
  readonly lastUsedAt: number | null;
}

/** One kept version of a secret without its value; the primary key is (`secretId`, `version`). */
export interface SecretVersionInfo {
  readonly secretId: string;
  readonly version: number;
  readonly dataKeyId: string;
  /** Plaintext length in bytes. */
  readonly size: number;
  readonly createdAt: number;
}

/** One kept version of a secret with its sealed value. */
export interface SecretVersionRow extends SecretVersionInfo {
  readonly sealed: Bytes;
}

/** A value sealed again, under another data key. */
export interface Reseal {
  readonly secretId: string;
  readonly version: number;
  /** The sealed value that is there now. */
  readonly before: Bytes;
  readonly dataKeyId: string;
  readonly sealed: Bytes;
}

/** A version without a secret: no row says what its name is, which its value is bound to, so nothing opens it. */
export type OrphanVersion = Pick<SecretVersionRow, "secretId" | "version" | "dataKeyId" | "sealed">;

/** A secret joined with its current version: what one read needs. */
export interface CurrentSecret extends SecretRow {
  readonly dataKeyId: string;
  readonly sealed: Bytes;
  readonly size: number;
}

/** What it takes to open one of the kept versions of a secret. */
export interface SealedVersion
  extends Pick<CurrentSecret, "id" | "collection" | "name" | "dataKeyId" | "sealed" | "size"> {
  readonly version: number;
}

/** A kept version with its secret. */
export type VersionOfSecret = SealedVersion & SecretRow;

/** The pin of a paired device. */
export interface CompanionRow {
  /** 128 bits in base64url; both devices have the same. */
  readonly id: string;
  readonly name: string;
  /** What the device is to this one. */
  readonly role: "agent" | "companion";
  /** SHA-256 of its public key in base64url; unique. */
  readonly fingerprint: string;
  readonly state: "active" | "suspended";
  readonly pairedAt: number;
  readonly mac: Bytes;
}

/** What a request of a companion's peer was answered, so that a retry is not done twice; the primary key is (`peerId`, `requestId`). */
export interface CompanionResultRow {
  readonly peerId: string;
  readonly requestId: string;
  /** Of the request. */
  readonly hash: Bytes;
  readonly sealed: Bytes;
  readonly createdAt: number;
}

/** One row of the audit chain. */
export interface AuditRow {
  /** 1 for the first row, without gaps. */
  readonly seq: number;
  /** 32 bytes: `hash` of the row before; 32 zero bytes for the first. */
  readonly prev: Bytes;
  readonly hash: Bytes;
  readonly mac: Bytes;
  readonly epoch: number;
  /** The entry as JCS text. */
  readonly entry: string;
}

/** Where the audit chain ends: sequence number 0 and 32 zero bytes when it is empty. */
export interface AuditHead {
  readonly seq: number;
  readonly hash: Bytes;
  /** What the next rows must have. */
  readonly epoch: number;
}

/** How many rows there are, kept up to date by every writing transaction; never counted. */
export interface Counts {
  /** Live secrets of all collections, without tombstones. */
  readonly secrets: number;
  readonly keys: number;
  readonly dataKeys: number;
  readonly auditRows: number;
}

/** Something that was permitted beforehand: a grant for an action, or a handle for the value of a secret. */
export interface PermitRow {
  readonly id: string;
  readonly kind: "grant" | "handle";
  /** The tool of a grant, the secret of a handle. */
  readonly subject: string;
  /** What has to be equal, as text. */
  readonly terms: string;
  /** Whether an approver permitted it, so that it holds for dangerous actions too. */
  readonly dangerous: boolean;
  readonly approvedBy: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** Null: as often as wanted. */
  readonly maxUses: number | null;
  readonly uses: number;
  readonly lastUsedAt: number | null;
  readonly mac: Bytes;
}

/** A policy that binds agents. */
export interface PolicyRow {
  /** What it is about. */
  readonly subject: string;
  readonly content: string;
  readonly updatedAt: number;
  readonly mac: Bytes;
}

/** The journal of long work, so that any process can go on with it; one row per kind. */
export interface JobRow {
  /** E.g. `rotate`. */
  readonly kind: string;
  /** What the work needs to go on, as text. */
  readonly content: string;
  readonly startedAt: number;
  readonly updatedAt: number;
  readonly mac: Bytes;
}
