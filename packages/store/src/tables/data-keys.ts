import { type Bytes, bytesEqual, CryptoError } from "@lango/crypto-core";
import { sql } from "kysely";
import type { DataKeyRow } from "../rows.ts";
import { change, changed, type Executor, type ReadExecutor, statement } from "../statement.ts";
import type { DataKeyReads, DataKeyRows } from "../store.ts";
import { count } from "./counters.ts";

/** NIST SP 800-38D §8.3 allows 2^32 random 96-bit nonces under one key; a quarter of that leaves room for clones. */
const MAX_MESSAGES = 2 ** 30;
const MAX_BYTES = 2 ** 50;

const COLUMNS = [
  "id",
  "key_id as keyId",
  "domain",
  "wrapped",
  "wrap_uri as wrapUri",
  "wrap_version as wrapVersion",
  "state",
  "degraded",
  "messages",
  "bytes",
  "created_at as createdAt",
  "mac",
] as const;

const FIND = statement((q, p: { id: string }) =>
  q.selectFrom("data_keys").where("id", "=", p.id).select(COLUMNS),
);

// 'active' is part of the text, not a parameter: only so can SQLite choose the partial index.
const FIND_ACTIVE = statement((q, p: { keyId: string; domain: string }) =>
  q
    .selectFrom("data_keys")
    .where("key_id", "=", p.keyId)
    .where("domain", "=", p.domain)
    .where("state", "=", sql.lit("active" as const))
    .select(COLUMNS),
);

const LIST = statement((q) =>
  q.selectFrom("data_keys").orderBy("created_at").orderBy("id").select(COLUMNS),
);

type Stored = Omit<DataKeyRow, "degraded"> & { readonly degraded: number };

const changeable = (p: Stored) => ({
  wrapped: p.wrapped,
  wrap_uri: p.wrapUri,
  wrap_version: p.wrapVersion,
  state: p.state,
  degraded: p.degraded,
  mac: p.mac,
});

const INSERT = statement((q, p: Stored) =>
  q.insertInto("data_keys").values({
    id: p.id,
    key_id: p.keyId,
    domain: p.domain,
    messages: p.messages,
    bytes: p.bytes,
    created_at: p.createdAt,
    ...changeable(p),
  }),
);

const UPDATE = statement((q, p: Stored & { ifMac: Bytes }) =>
  q.updateTable("data_keys").set(changeable(p)).where("id", "=", p.id).where("mac", "=", p.ifMac),
);

const RETIRE = statement((q, p: Stored & { ifMac: Bytes }) =>
  q
    .updateTable("data_keys")
    .set(changeable(p))
    .where("id", "=", p.id)
    .where("mac", "=", p.ifMac)
    .where("state", "<>", sql.lit("active" as const))
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom("secret_versions").where("data_key_id", "=", p.id).select("version").limit(1),
        ),
      ),
    ),
);

const RESERVE = statement((q, p: { id: string; addMessages: number; addBytes: number }) =>
  q
    .updateTable("data_keys")
    .set((eb) => ({
      messages: eb("messages", "+", p.addMessages),
      bytes: eb("bytes", "+", p.addBytes),
    }))
    .where("id", "=", p.id)
    .where("state", "=", sql.lit("active" as const))
    .where((eb) => eb(eb("messages", "+", p.addMessages), "<=", sql.lit(MAX_MESSAGES)))
    .where((eb) => eb(eb("bytes", "+", p.addBytes), "<=", sql.lit(MAX_BYTES)))
    .returning(["messages", "bytes"]),
);

const toRow = (stored: Stored): DataKeyRow => ({ ...stored, degraded: stored.degraded === 1 });
const toStored = (row: DataKeyRow): Stored => ({ ...row, degraded: row.degraded ? 1 : 0 });

export function dataKeyReads(executor: ReadExecutor): DataKeyReads {
  return {
    async find(id) {
      const found = await executor.first(FIND, { id });
      return found && toRow(found);
    },

    async findActive(keyId, domain) {
      const found = await executor.first(FIND_ACTIVE, { keyId, domain });
      return found && toRow(found);
    },

    async list() {
      return (await executor.all(LIST, {})).map(toRow);
    },
  };
}

export const dataKeyRows = (executor: Executor): DataKeyRows => ({
  ...dataKeyReads(executor),

  async insert(row) {
    await executor.run(INSERT, toStored(row));
    await count(executor, { dataKeys: 1 });
  },

  update: (row, ifMac) =>
    change(executor, UPDATE, { ...toStored(row), ifMac }, `Data key ${row.id}`),

  async retire(row, ifMac) {
    if ((await executor.run(RETIRE, { ...toStored(row), ifMac })) > 0) return true;
    const found = await executor.first(FIND, { id: row.id });
    if (found && bytesEqual(found.mac, ifMac)) return false;
    throw changed(`Data key ${row.id}`);
  },

  async reserve(id, messages, bytes) {
    const total = await executor.first(RESERVE, { id, addMessages: messages, addBytes: bytes });
    if (total !== undefined) return total;
    throw retired(id);
  },
});

/** One error for a key that is rotated, used up or gone: the answer is the same, take the active one. */
export const retired = (id: string): CryptoError =>
  new CryptoError("ERR_KEY_RETIRED", `Data key ${id} takes no more values`, {
    context: { hint: "Seal again under the active data key." },
  });
