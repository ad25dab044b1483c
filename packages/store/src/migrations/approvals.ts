import type { Migration } from "../migrations.ts";

/** What was permitted beforehand, and the policies that say when a person is asked. */
export const approvals: Migration = {
  version: 3,
  name: "approvals",
  checksum: "515d0e3cf5d6bc161ea7c4ed09855618f055242fa3c3d5ec5959e1b0e17e1a44",
  sql: ({ text, integer, blob, keyed }) => `
create table permits (
  id ${text} primary key not null,
  kind ${text} not null check (kind in ('grant', 'handle')),
  subject ${text} not null,
  terms ${text} not null,
  dangerous ${integer} not null check (dangerous in (0, 1)),
  approved_by ${text} not null,
  created_at ${integer} not null,
  expires_at ${integer} not null,
  max_uses ${integer},
  uses ${integer} not null,
  last_used_at ${integer},
  mac ${blob} not null
) ${keyed};
create index permits_subject on permits (kind, subject, created_at);

create table policies (
  subject ${text} primary key not null,
  content ${text} not null,
  updated_at ${integer} not null,
  mac ${blob} not null
) ${keyed};
`,
};
