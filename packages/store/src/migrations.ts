import type { ColumnTypes } from "./dialect.ts";
import { approvals } from "./migrations/approvals.ts";
import { companions } from "./migrations/companions.ts";
import { rootOfTrust } from "./migrations/root-of-trust.ts";

/** One step of the schema. Never changed once released: a later release adds another. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  /** SHA-256 of the SQL for SQLite, in hex; a test keeps it true. */
  readonly checksum: string;
  readonly sql: (types: ColumnTypes) => string;
}

const foundation: Migration = {
  version: 1,
  name: "foundation",
  checksum: "131d1c199deabeef3c6e45d69efa0dd69a2cf84b5dae6cf078325483ed289000",
  sql: ({ text, integer, blob, keyed, plain }) => `
create table migrations (
  version ${integer} primary key not null,
  name ${text} not null,
  checksum ${text} not null,
  applied_at ${integer} not null
) ${plain};

create table vault (
  id ${integer} primary key not null check (id = 1),
  vault_id ${text} not null,
  format ${integer} not null,
  state ${text} not null check (state in ('onboarding', 'ready')),
  created_at ${integer} not null,
  slot_generation ${integer} not null,
  slot_mac ${blob} not null,
  pending_generation ${integer},
  pending_mac ${blob},
  audit_key ${blob} not null,
  audit_epoch ${integer} not null,
  mac ${blob} not null
) ${plain};

create table keys (
  id ${text} primary key not null,
  name ${text} not null unique,
  type ${text} not null check (type in ('encryption', 'signing')),
  algorithm ${text} not null,
  provider ${text} not null,
  remote_key_id ${text},
  key_version ${text} not null,
  public_key ${blob},
  state ${text} not null,
  created_at ${integer} not null,
  last_used_at ${integer},
  mac ${blob} not null
) ${keyed};

create table key_versions (
  key_id ${text} not null references keys (id),
  version ${text} not null,
  sealed ${blob},
  public_key ${blob},
  state ${text} not null,
  created_at ${integer} not null,
  mac ${blob} not null,
  primary key (key_id, version)
) ${keyed};

create table data_keys (
  id ${text} primary key not null,
  key_id ${text} not null references keys (id),
  domain ${text} not null,
  wrapped ${blob} not null,
  wrap_uri ${text} not null,
  wrap_version ${text} not null,
  state ${text} not null check (state in ('active', 'decrypt-only', 'retired')),
  degraded ${integer} not null check (degraded in (0, 1)),
  messages ${integer} not null,
  bytes ${integer} not null,
  created_at ${integer} not null,
  mac ${blob} not null
) ${keyed};
create unique index data_keys_active on data_keys (key_id, domain) where state = 'active';

create table secrets (
  collection ${text} not null,
  name ${text} not null,
  id ${text} not null unique,
  key_id ${text} not null references keys (id),
  current_version ${integer} not null,
  created_at ${integer} not null,
  updated_at ${integer} not null,
  deleted_at ${integer},
  mac ${blob} not null,
  uses ${integer} not null,
  last_used_at ${integer},
  primary key (collection, name)
) ${keyed};

create table secret_versions (
  secret_id ${text} not null references secrets (id),
  version ${integer} not null,
  data_key_id ${text} not null references data_keys (id),
  sealed ${blob} not null,
  size ${integer} not null,
  created_at ${integer} not null,
  primary key (secret_id, version)
) ${plain};

create table audit_log (
  seq ${integer} primary key not null,
  prev ${blob} not null,
  hash ${blob} not null,
  mac ${blob} not null,
  epoch ${integer} not null,
  entry ${text} not null
) ${plain};

create table audit_head (
  id ${integer} primary key not null check (id = 1),
  seq ${integer} not null,
  hash ${blob} not null
) ${plain};

create table counters (
  id ${integer} primary key not null check (id = 1),
  secrets ${integer} not null,
  keys ${integer} not null,
  data_keys ${integer} not null
) ${plain};
insert into counters (id, secrets, keys, data_keys) values (1, 0, 0, 0);
`,
};

/** Every migration, oldest first; versions are 1, 2, 3, … */
export const MIGRATIONS: readonly Migration[] = [foundation, companions, approvals, rootOfTrust];

/** The version of the schema that an open store has. */
export const SCHEMA_VERSION: number = MIGRATIONS.length;
