import type { Migration } from "../migrations.ts";

/** Paired devices, and what their requests were answered. */
export const companions: Migration = {
  version: 2,
  name: "companions",
  checksum: "7b43037cc82949cb194c8d1fc01cf44baacb64b05b1073e753d4819a0c77dc0e",
  sql: ({ text, integer, blob, keyed, plain }) => `
create table companions (
  id ${text} primary key not null,
  name ${text} not null,
  role ${text} not null check (role in ('agent', 'companion')),
  fingerprint ${text} not null unique,
  state ${text} not null check (state in ('active', 'suspended')),
  paired_at ${integer} not null,
  mac ${blob} not null
) ${keyed};

create table companion_results (
  peer_id ${text} not null,
  request_id ${text} not null,
  hash ${blob} not null,
  sealed ${blob} not null,
  created_at ${integer} not null,
  primary key (peer_id, request_id)
) ${plain};
create index companion_results_age on companion_results (created_at);
`,
};
