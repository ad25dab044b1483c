import { randomBytes } from "node:crypto";
import type { Bytes } from "@lango/crypto-core";
import type {
  AuditRow,
  CompanionResultRow,
  CompanionRow,
  DataKeyRow,
  KeyRow,
  KeyVersionRow,
  PermitRow,
  PolicyRow,
  SecretRow,
  SecretVersionRow,
  VaultRow,
} from "@lango/store";

export const bytes = (length: number): Bytes => new Uint8Array(randomBytes(length));
export const hex = (length: number): string => randomBytes(length).toString("hex");

export const vaultRow = (row: Partial<VaultRow> = {}): VaultRow => ({
  vaultId: hex(16),
  format: 1,
  state: "onboarding",
  createdAt: 1_700_000_000_000,
  slotGeneration: 1,
  slotMac: bytes(32),
  pendingGeneration: null,
  pendingMac: null,
  auditKey: bytes(112),
  auditEpoch: 1,
  mac: bytes(32),
  ...row,
});

export const keyRow = (row: Partial<KeyRow> = {}): KeyRow => ({
  id: hex(12),
  name: "default",
  type: "encryption",
  algorithm: "AES-256-GCM",
  provider: "local",
  remoteKeyId: null,
  keyVersion: "1",
  publicKey: null,
  state: "enabled",
  createdAt: 1_700_000_000_001,
  lastUsedAt: null,
  mac: bytes(32),
  ...row,
});

export const keyVersionRow = (
  row: Partial<KeyVersionRow> & Pick<KeyVersionRow, "keyId">,
): KeyVersionRow => ({
  version: "1",
  sealed: bytes(112),
  publicKey: null,
  state: "enabled",
  createdAt: 1_700_000_000_002,
  mac: bytes(32),
  ...row,
});

export const dataKeyRow = (row: Partial<DataKeyRow> & Pick<DataKeyRow, "keyId">): DataKeyRow => ({
  id: hex(12),
  domain: "secrets",
  wrapped: bytes(112),
  wrapUri: "local:vault",
  wrapVersion: "1",
  state: "active",
  degraded: false,
  messages: 0,
  bytes: 0,
  createdAt: 1_700_000_000_003,
  mac: bytes(32),
  ...row,
});

export const secretRow = (row: Partial<SecretRow> & Pick<SecretRow, "keyId">): SecretRow => ({
  id: hex(12),
  collection: "secrets",
  name: "api/token",
  currentVersion: 1,
  createdAt: 1_700_000_000_004,
  updatedAt: 1_700_000_000_004,
  deletedAt: null,
  mac: bytes(32),
  uses: 0,
  lastUsedAt: null,
  ...row,
});

export const versionRow = (
  row: Partial<SecretVersionRow> & Pick<SecretVersionRow, "secretId" | "dataKeyId">,
): SecretVersionRow => ({
  version: 1,
  sealed: bytes(180),
  size: 100,
  createdAt: 1_700_000_000_005,
  ...row,
});

export const auditRow = (row: Partial<AuditRow> & Pick<AuditRow, "seq">): AuditRow => ({
  prev: row.seq === 1 ? new Uint8Array(32) : bytes(32),
  hash: bytes(32),
  mac: bytes(32),
  epoch: 1,
  entry: `{"seq":${row.seq}}`,
  ...row,
});

export const companionRow = (row: Partial<CompanionRow> = {}): CompanionRow => ({
  id: hex(11),
  name: "Phone",
  role: "companion",
  fingerprint: hex(22),
  state: "active",
  pairedAt: 1_700_000_000_009,
  mac: bytes(32),
  ...row,
});

export const permitRow = (row: Partial<PermitRow> = {}): PermitRow => ({
  id: hex(12),
  kind: "grant",
  subject: "exec",
  terms: "{}",
  dangerous: false,
  approvedBy: "terminal",
  createdAt: 1_700_000_000_006,
  expiresAt: 1_700_000_900_006,
  maxUses: null,
  uses: 0,
  lastUsedAt: null,
  mac: bytes(32),
  ...row,
});

export const resultRow = (row: Partial<CompanionResultRow> = {}): CompanionResultRow => ({
  peerId: "peer",
  requestId: hex(11),
  hash: bytes(32),
  sealed: bytes(100),
  createdAt: 1_700_000_000_010,
  ...row,
});

export const policyRow = (row: Partial<PolicyRow> = {}): PolicyRow => ({
  subject: "approvals",
  content: "{}",
  updatedAt: 1_700_000_000_007,
  mac: bytes(32),
  ...row,
});
