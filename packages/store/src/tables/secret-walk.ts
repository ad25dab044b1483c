import type { Bytes } from "@lango/crypto-core";
import type { SecretRow } from "../rows.ts";
import { type Executor, type ReadExecutor, statement } from "../statement.ts";
import type { SecretReads, SecretRows } from "../store.ts";
import { checkLimit } from "./limit.ts";
import { SECRET } from "./secret-columns.ts";

// For work on every row of table `secrets`, whatever its collection, tombstones included.

const WALK = statement((q, p: { collection: string; name: string; limit: number }) =>
  q
    .selectFrom("secrets")
    .where((eb) =>
      eb.or([
        eb("collection", ">", p.collection),
        eb.and([eb("collection", "=", p.collection), eb("name", ">", p.name)]),
      ]),
    )
    .orderBy("collection")
    .orderBy("name")
    .limit(p.limit)
    .select(SECRET),
);

const SET_MAC = statement((q, p: Pick<SecretRow, "id" | "mac"> & { ifMac: Bytes }) =>
  q.updateTable("secrets").set({ mac: p.mac }).where("id", "=", p.id).where("mac", "=", p.ifMac),
);

export const walkReads = (executor: ReadExecutor): Pick<SecretReads, "walk"> => ({
  async walk(after, limit) {
    checkLimit(limit);
    const { collection, name } = after ?? { collection: "", name: "" };
    return executor.all(WALK, { collection, name, limit });
  },
});

export const walkRows = (executor: Executor): Pick<SecretRows, "setMac"> => ({
  setMac: async (id, mac, ifMac) => (await executor.run(SET_MAC, { id, mac, ifMac })) > 0,
});
