import type { Migration } from "../migrations.ts";

/** What it takes to change the root of trust: the journal of long work, keyslots beside the rows, who seals what, and the epoch of the log. */
export const rootOfTrust: Migration = {
  version: 4,
  name: "root of trust",
  checksum: "eb4ebb53c0a9c4c1bd752962f72da897007c070457305f4a9258f28c4907bbce",
  sql: ({ text, integer, blob, keyed, plain }) => `
create table jobs (
  kind ${text} primary key not null,
  content ${text} not null,
  started_at ${integer} not null,
  updated_at ${integer} not null,
  mac ${blob} not null
) ${keyed};

create table keyslots (
  id ${integer} primary key not null check (id = 1),
  generation ${integer} not null,
  document ${blob} not null
) ${plain};

create index secret_versions_data_key on secret_versions (data_key_id);

alter table audit_head add column epoch ${integer} not null default 1;
`,
};
