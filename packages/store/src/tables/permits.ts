import type { Bytes } from "@lango/crypto-core";
import type { PermitRow } from "../rows.ts";
import { change, type Executor, type ReadExecutor, statement } from "../statement.ts";
import type { PermitReads, PermitRows } from "../store.ts";

const PERMIT = [
  "id",
  "kind",
  "subject",
  "terms",
  "dangerous",
  "approved_by as approvedBy",
  "created_at as createdAt",
  "expires_at as expiresAt",
  "max_uses as maxUses",
  "uses",
  "last_used_at as lastUsedAt",
  "mac",
] as const;

type Kind = PermitRow["kind"];
type Stored = Omit<PermitRow, "dangerous"> & { readonly dangerous: number };

const FIND = statement((q, p: { id: string }) =>
  q.selectFrom("permits").where("id", "=", p.id).select(PERMIT),
);

const LIST = statement((q, p: { kind: Kind }) =>
  q
    .selectFrom("permits")
    .where("kind", "=", p.kind)
    .orderBy("created_at")
    .orderBy("id")
    .select(PERMIT),
);

const LIST_FOR = statement((q, p: { kind: Kind; subject: string }) =>
  q
    .selectFrom("permits")
    .where("kind", "=", p.kind)
    .where("subject", "=", p.subject)
    .orderBy("created_at")
    .orderBy("id")
    .select(PERMIT),
);

const INSERT = statement((q, p: Stored) =>
  q.insertInto("permits").values({
    id: p.id,
    kind: p.kind,
    subject: p.subject,
    terms: p.terms,
    dangerous: p.dangerous,
    approved_by: p.approvedBy,
    created_at: p.createdAt,
    expires_at: p.expiresAt,
    max_uses: p.maxUses,
    uses: p.uses,
    last_used_at: p.lastUsedAt,
    mac: p.mac,
  }),
);

type Use = Pick<PermitRow, "id" | "uses" | "lastUsedAt" | "mac"> & { readonly ifMac: Bytes };

const USE = statement((q, p: Use) =>
  q
    .updateTable("permits")
    .set({ uses: p.uses, last_used_at: p.lastUsedAt, mac: p.mac })
    .where("id", "=", p.id)
    .where("mac", "=", p.ifMac),
);

const REMOVE = statement((q, p: { id: string }) => q.deleteFrom("permits").where("id", "=", p.id));

const toRow = (stored: Stored): PermitRow => ({ ...stored, dangerous: stored.dangerous === 1 });
const toStored = (row: PermitRow): Stored => ({ ...row, dangerous: row.dangerous ? 1 : 0 });

export const permitReads = (executor: ReadExecutor): PermitReads => ({
  async find(id) {
    const found = await executor.first(FIND, { id });
    return found && toRow(found);
  },
  list: async (kind) => (await executor.all(LIST, { kind })).map(toRow),
  listFor: async (kind, subject) => (await executor.all(LIST_FOR, { kind, subject })).map(toRow),
});

export const permitRows = (executor: Executor): PermitRows => ({
  ...permitReads(executor),

  async insert(row) {
    await executor.run(INSERT, toStored(row));
  },

  use: ({ id, uses, lastUsedAt, mac }, ifMac) =>
    change(executor, USE, { id, uses, lastUsedAt, mac, ifMac }, `Permit ${id}`),

  async remove(id) {
    await executor.run(REMOVE, { id });
  },
});
