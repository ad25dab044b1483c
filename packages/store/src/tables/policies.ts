import type { PolicyRow } from "../rows.ts";
import { type Executor, type ReadExecutor, statement } from "../statement.ts";
import type { PolicyReads, PolicyRows } from "../store.ts";

const POLICY = ["subject", "content", "updated_at as updatedAt", "mac"] as const;

const FIND = statement((q, p: { subject: string }) =>
  q.selectFrom("policies").where("subject", "=", p.subject).select(POLICY),
);

const LIST = statement((q) => q.selectFrom("policies").orderBy("subject").select(POLICY));

const PUT = statement((q, p: PolicyRow) =>
  q
    .insertInto("policies")
    .values({ subject: p.subject, content: p.content, updated_at: p.updatedAt, mac: p.mac })
    .onConflict((conflict) =>
      conflict
        .column("subject")
        .doUpdateSet({ content: p.content, updated_at: p.updatedAt, mac: p.mac }),
    ),
);

const REMOVE = statement((q, p: { subject: string }) =>
  q.deleteFrom("policies").where("subject", "=", p.subject),
);

export const policyReads = (executor: ReadExecutor): PolicyReads => ({
  find: (subject) => executor.first(FIND, { subject }),
  list: () => executor.all(LIST, {}),
});

export const policyRows = (executor: Executor): PolicyRows => ({
  ...policyReads(executor),

  async put(row) {
    await executor.run(PUT, row);
  },

  async remove(subject) {
    await executor.run(REMOVE, { subject });
  },
});
