import type { KeyslotsRow } from "../rows.ts";
import { change, type Executor, type ReadExecutor, statement } from "../statement.ts";
import type { KeyslotsReads, KeyslotsRows } from "../store.ts";

const GET = statement((q) =>
  q.selectFrom("keyslots").where("id", "=", 1).select(["generation", "document"]),
);

const INSERT = statement((q, p: KeyslotsRow) =>
  q.insertInto("keyslots").values({ id: 1, generation: p.generation, document: p.document }),
);

const REPLACE = statement((q, p: KeyslotsRow & { ifGeneration: number }) =>
  q
    .updateTable("keyslots")
    .set({ generation: p.generation, document: p.document })
    .where("id", "=", 1)
    .where("generation", "=", p.ifGeneration),
);

export const keyslotsReads = (executor: ReadExecutor): KeyslotsReads => ({
  get: () => executor.first(GET, {}),
});

export const keyslotsRows = (executor: Executor): KeyslotsRows => ({
  ...keyslotsReads(executor),

  async insert(row) {
    await executor.run(INSERT, row);
  },

  replace: (row, ifGeneration) =>
    change(executor, REPLACE, { ...row, ifGeneration }, "The document of the keyslots"),
});
