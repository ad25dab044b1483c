import type { Bytes } from "@lango/crypto-core";
import type { CompanionRow, DataKeyState, KeyRow, PermitRow, VaultState } from "./rows.ts";

/** The tables as Kysely sees them: the columns' own names. Rows leave the store in camel case, renamed by the queries. */
export interface Database {
  vault: {
    id: number;
    vault_id: string;
    format: number;
    state: VaultState;
    created_at: number;
    slot_generation: number;
    slot_mac: Bytes;
    pending_generation: number | null;
    pending_mac: Bytes | null;
    audit_key: Bytes;
    audit_epoch: number;
    mac: Bytes;
  };
  keys: {
    id: string;
    name: string;
    type: KeyRow["type"];
    algorithm: string;
    provider: string;
    remote_key_id: string | null;
    key_version: string;
    public_key: Bytes | null;
    state: string;
    created_at: number;
    last_used_at: number | null;
    mac: Bytes;
  };
  key_versions: {
    key_id: string;
    version: string;
    sealed: Bytes | null;
    public_key: Bytes | null;
    state: string;
    created_at: number;
    mac: Bytes;
  };
  data_keys: {
    id: string;
    key_id: string;
    domain: string;
    wrapped: Bytes;
    wrap_uri: string;
    wrap_version: string;
    state: DataKeyState;
    degraded: number;
    messages: number;
    bytes: number;
    created_at: number;
    mac: Bytes;
  };
  secrets: {
    id: string;
    collection: string;
    name: string;
    key_id: string;
    current_version: number;
    created_at: number;
    updated_at: number;
    deleted_at: number | null;
    mac: Bytes;
    uses: number;
    last_used_at: number | null;
  };
  secret_versions: {
    secret_id: string;
    version: number;
    data_key_id: string;
    sealed: Bytes;
    size: number;
    created_at: number;
  };
  audit_log: {
    seq: number;
    prev: Bytes;
    hash: Bytes;
    mac: Bytes;
    epoch: number;
    entry: string;
  };
  audit_head: { id: number; seq: number; hash: Bytes; epoch: number };
  companions: {
    id: string;
    name: string;
    role: CompanionRow["role"];
    fingerprint: string;
    state: CompanionRow["state"];
    paired_at: number;
    mac: Bytes;
  };
  companion_results: {
    peer_id: string;
    request_id: string;
    hash: Bytes;
    sealed: Bytes;
    created_at: number;
  };
  counters: { id: number; secrets: number; keys: number; data_keys: number };
  permits: {
    id: string;
    kind: PermitRow["kind"];
    subject: string;
    terms: string;
    dangerous: number;
    approved_by: string;
    created_at: number;
    expires_at: number;
    max_uses: number | null;
    uses: number;
    last_used_at: number | null;
    mac: Bytes;
  };
  jobs: { kind: string; content: string; started_at: number; updated_at: number; mac: Bytes };
  keyslots: { id: number; generation: number; document: Bytes };
  policies: { subject: string; content: string; updated_at: number; mac: Bytes };
  migrations: { version: number; name: string; checksum: string; applied_at: number };
}
