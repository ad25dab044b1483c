import type { Bytes } from "@lango/crypto-core";
import type { CompanionResultRow, CompanionRow } from "../rows.ts";
import { change, type Executor, type ReadExecutor, statement } from "../statement.ts";
import type { CompanionReads, CompanionRows } from "../store.ts";

const COMPANION = [
  "id",
  "name",
  "role",
  "fingerprint",
  "state",
  "paired_at as pairedAt",
  "mac",
] as const;

const FIND = statement((q, p: { id: string }) =>
  q.selectFrom("companions").where("id", "=", p.id).select(COMPANION),
);

const FIND_BY_FINGERPRINT = statement((q, p: { fingerprint: string }) =>
  q.selectFrom("companions").where("fingerprint", "=", p.fingerprint).select(COMPANION),
);

const LIST = statement((q) =>
  q.selectFrom("companions").orderBy("name").orderBy("id").select(COMPANION),
);

const INSERT = statement((q, p: CompanionRow) =>
  q.insertInto("companions").values({
    id: p.id,
    name: p.name,
    role: p.role,
    fingerprint: p.fingerprint,
    state: p.state,
    paired_at: p.pairedAt,
    mac: p.mac,
  }),
);

const UPDATE = statement((q, p: CompanionRow & { ifMac: Bytes }) =>
  q
    .updateTable("companions")
    .set({ name: p.name, fingerprint: p.fingerprint, state: p.state, mac: p.mac })
    .where("id", "=", p.id)
    .where("mac", "=", p.ifMac),
);

const REMOVE = statement((q, p: { id: string; ifMac: Bytes }) =>
  q.deleteFrom("companions").where("id", "=", p.id).where("mac", "=", p.ifMac),
);

const FIND_RESULT = statement((q, p: { peerId: string; requestId: string }) =>
  q
    .selectFrom("companion_results")
    .where("peer_id", "=", p.peerId)
    .where("request_id", "=", p.requestId)
    .select([
      "peer_id as peerId",
      "request_id as requestId",
      "hash",
      "sealed",
      "created_at as createdAt",
    ]),
);

const INSERT_RESULT = statement((q, p: CompanionResultRow) =>
  q
    .insertInto("companion_results")
    .values({
      peer_id: p.peerId,
      request_id: p.requestId,
      hash: p.hash,
      sealed: p.sealed,
      created_at: p.createdAt,
    })
    .onConflict((conflict) => conflict.columns(["peer_id", "request_id"]).doNothing()),
);

const PRUNE_RESULTS = statement((q, p: { before: number }) =>
  q.deleteFrom("companion_results").where("created_at", "<", p.before),
);

export const companionReads = (executor: ReadExecutor): CompanionReads => ({
  find: (id) => executor.first(FIND, { id }),
  findByFingerprint: (fingerprint) => executor.first(FIND_BY_FINGERPRINT, { fingerprint }),
  list: () => executor.all(LIST, {}),
  findResult: (peerId, requestId) => executor.first(FIND_RESULT, { peerId, requestId }),
});

export const companionRows = (executor: Executor): CompanionRows => ({
  ...companionReads(executor),

  async insert(row) {
    await executor.run(INSERT, row);
  },

  update: (row, ifMac) => change(executor, UPDATE, { ...row, ifMac }, `Device ${row.id}`),

  remove: (id, ifMac) => change(executor, REMOVE, { id, ifMac }, `Device ${id}`),

  insertResult: async (row) => (await executor.run(INSERT_RESULT, row)) > 0,

  async pruneResults(before) {
    await executor.run(PRUNE_RESULTS, { before });
  },
});
