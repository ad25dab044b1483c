import type { Migration } from "../migrations.ts";

/** What it takes to change the root of trust: the journal of long work, keyslots beside the rows, and who seals what. */
export const rootOfTrust: Migration = {
  version: 4,
  name: "root of trust",
  checksum: "02bbea82650e0d9145a2c53ad7568cfc733b84c39b81064bd585330ad9d901f5",
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
`,
};
