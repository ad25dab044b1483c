import type { Bytes } from "@lango/crypto-core";
import type { JobRow } from "../rows.ts";
import { change, type Executor, type ReadExecutor, statement } from "../statement.ts";
import type { JobReads, JobRows } from "../store.ts";

const JOB = [
  "kind",
  "content",
  "started_at as startedAt",
  "updated_at as updatedAt",
  "mac",
] as const;

const FIND = statement((q, p: { kind: string }) =>
  q.selectFrom("jobs").where("kind", "=", p.kind).select(JOB),
);

const LIST = statement((q) => q.selectFrom("jobs").orderBy("kind").select(JOB));

const columns = (p: JobRow) => ({
  kind: p.kind,
  content: p.content,
  started_at: p.startedAt,
  updated_at: p.updatedAt,
  mac: p.mac,
});

const INSERT = statement((q, p: JobRow) => q.insertInto("jobs").values(columns(p)));

const UPDATE = statement((q, p: JobRow & { ifMac: Bytes }) =>
  q.updateTable("jobs").set(columns(p)).where("kind", "=", p.kind).where("mac", "=", p.ifMac),
);

const REMOVE = statement((q, p: { kind: string; ifMac: Bytes }) =>
  q.deleteFrom("jobs").where("kind", "=", p.kind).where("mac", "=", p.ifMac),
);

export const jobReads = (executor: ReadExecutor): JobReads => ({
  find: (kind) => executor.first(FIND, { kind }),
  list: () => executor.all(LIST, {}),
});

export const jobRows = (executor: Executor): JobRows => ({
  ...jobReads(executor),

  async put(row, ifMac) {
    if (ifMac === undefined) await executor.run(INSERT, row);
    else await change(executor, UPDATE, { ...row, ifMac }, `Job ${row.kind}`);
  },

  remove: (kind, ifMac) => change(executor, REMOVE, { kind, ifMac }, `Job ${kind}`),
});
