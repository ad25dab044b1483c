import type { Counts } from "../rows.ts";
import { type Executor, type ReadExecutor, statement } from "../statement.ts";
import { auditReads } from "./audit.ts";

const GET = statement((q) =>
  q.selectFrom("counters").where("id", "=", 1).select(["secrets", "keys", "data_keys as dataKeys"]),
);

type Counters = Omit<Counts, "auditRows">;

const ADD = statement((q, p: Counters) =>
  q
    .updateTable("counters")
    .set((eb) => ({
      secrets: eb("secrets", "+", p.secrets),
      keys: eb("keys", "+", p.keys),
      data_keys: eb("data_keys", "+", p.dataKeys),
    }))
    .where("id", "=", 1),
);

/** Keeps the counters true; belongs to every insert and delete that they count, in the same transaction. */
export async function count(executor: Executor, added: Partial<Counters>): Promise<void> {
  await executor.run(ADD, { secrets: 0, keys: 0, dataKeys: 0, ...added });
}

export async function counts(executor: ReadExecutor): Promise<Counts> {
  const counters = await executor.first(GET, {});
  const { seq } = await auditReads(executor).head();
  return { secrets: 0, keys: 0, dataKeys: 0, ...counters, auditRows: seq };
}
