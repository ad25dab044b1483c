import { type Bytes, bytesEqual, CryptoError, concat, utf8 } from "@lango/crypto-core";
import type { AuditHead, AuditRow } from "../rows.ts";
import { type Executor, type ReadExecutor, statement } from "../statement.ts";
import type { AuditReads, AuditRows } from "../store.ts";
import { checkLimit } from "./limit.ts";

const COLUMNS = ["seq", "prev", "hash", "mac", "epoch", "entry"] as const;
const HASH_BYTES = 32;

const HEAD = statement((q) =>
  q.selectFrom("audit_head").where("id", "=", 1).select(["seq", "hash", "epoch"]),
);

const LOCK_HEAD = statement((q, _: object, dialect) =>
  q
    .selectFrom("audit_head")
    .where("id", "=", 1)
    .select(["seq", "hash", "epoch"])
    .$if(dialect.rowLocks, (locked) => locked.forUpdate()),
);

const PAGE = statement((q, p: { from: number; limit: number }) =>
  q
    .selectFrom("audit_log")
    .where("seq", ">=", p.from)
    .orderBy("seq")
    .limit(p.limit)
    .select(COLUMNS),
);

const TAIL = statement((q, p: { limit: number }) =>
  q.selectFrom("audit_log").orderBy("seq", "desc").limit(p.limit).select(COLUMNS),
);

const INSERT = statement((q, p: AuditRow) =>
  q.insertInto("audit_log").values({
    seq: p.seq,
    prev: p.prev,
    hash: p.hash,
    mac: p.mac,
    epoch: p.epoch,
    entry: p.entry,
  }),
);

const FIRST_HEAD = statement((q, p: AuditHead) =>
  q
    .insertInto("audit_head")
    .values({ id: 1, seq: p.seq, hash: p.hash, epoch: p.epoch })
    .onConflict((conflict) => conflict.column("id").doNothing()),
);

const MOVE_HEAD = statement((q, p: AuditHead & { ifSeq: number; ifHash: Bytes }) =>
  q
    .updateTable("audit_head")
    .set({ seq: p.seq, hash: p.hash })
    .where("id", "=", 1)
    .where("seq", "=", p.ifSeq)
    .where("hash", "=", p.ifHash)
    .where("epoch", "=", p.epoch),
);

const MOVE_OWN_HEAD = statement(
  (q, p: AuditHead & { ifSeq: number; ifHash: Bytes; ifMac: Bytes }) =>
    q
      .updateTable("audit_head")
      .set({ seq: p.seq, hash: p.hash })
      .where("id", "=", 1)
      .where("seq", "=", p.ifSeq)
      .where("hash", "=", p.ifHash)
      .where("epoch", "=", p.epoch)
      .where(({ exists, selectFrom }) =>
        exists(
          selectFrom("audit_log")
            .where("seq", "=", p.ifSeq)
            .where("mac", "=", p.ifMac)
            .select("seq"),
        ),
      ),
);

const SET_EPOCH = statement((q, p: { epoch: number }) =>
  q.updateTable("audit_head").set({ epoch: p.epoch }).where("id", "=", 1),
);

const END = statement((q, p: { hash: Bytes }) =>
  q.updateTable("audit_head").set({ hash: p.hash }).where("id", "=", 1),
);

/** In the place of the hash, where every writer looks: 32 zero bytes, which are no hash of a row, and where the vault is now. */
const endMark = (movedTo: string): Bytes => concat(new Uint8Array(HASH_BYTES), utf8(movedTo));

const movedToOf = ({ hash }: AuditHead): string | undefined =>
  hash.length > HASH_BYTES ? new TextDecoder().decode(hash.subarray(HASH_BYTES)) : undefined;

const moved = (to: string): CryptoError =>
  new CryptoError("ERR_CONFLICT", `The vault was moved to ${to}`, {
    context: { hint: "Open it there: the setting store, or DATABASE_URL, says where the vault is" },
  });

/** Of a vault that is being made. @throws {@link CryptoError} `ERR_INTEGRITY` when there are rows: somebody removed their head. */
const emptyHead = async (executor: ReadExecutor): Promise<AuditHead> => {
  if (await executor.first(TAIL, { limit: 1 })) {
    throw new CryptoError("ERR_INTEGRITY", "The audit log has lost its head", {
      context: { hint: "Restore the database from a backup" },
    });
  }
  return { seq: 0, hash: new Uint8Array(HASH_BYTES), epoch: 1 };
};

export const auditReads = (executor: ReadExecutor): AuditReads => ({
  head: async () => (await executor.first(HEAD, {})) ?? (await emptyHead(executor)),

  async page(from, limit) {
    checkLimit(limit);
    return executor.all(PAGE, { from, limit });
  },

  async movedTo() {
    const head = await executor.first(HEAD, {});
    return head && movedToOf(head);
  },

  async tail(limit) {
    checkLimit(limit);
    return (await executor.all(TAIL, { limit })).reverse();
  },
});

export const auditRows = (executor: Executor): AuditRows => ({
  ...auditReads(executor),

  async lockHead() {
    const head = (await executor.first(LOCK_HEAD, {})) ?? (await emptyHead(executor));
    const to = movedToOf(head);
    if (to !== undefined) throw executor.abandon(moved(to));
    return head;
  },

  async endHere(movedTo) {
    await executor.run(END, { hash: endMark(movedTo) });
  },

  async append(rows, lastMac) {
    const [first, last] = [rows[0], rows.at(-1)];
    if (first === undefined || last === undefined) return;
    rows.forEach((row, index) => {
      if (row.seq !== first.seq + index) throw broken(`row ${row.seq} is out of order`);
    });
    const head = { seq: last.seq, hash: last.hash, epoch: last.epoch };
    // Not one by one: a server gets them all in one go.
    const inserted = rows.map((row) => executor.run(INSERT, row));
    const next = { ...head, ifSeq: first.seq - 1, ifHash: first.prev };
    const moved =
      first.seq === 1
        ? executor.run(FIRST_HEAD, head)
        : lastMac === undefined
          ? executor.run(MOVE_HEAD, next)
          : executor.run(MOVE_OWN_HEAD, { ...next, ifMac: lastMac });
    await Promise.all([...inserted, moved]);
    if ((await moved) === 0) {
      const now = await executor.first(HEAD, {});
      const isHead = now?.seq === next.ifSeq && bytesEqual(now.hash, next.ifHash);
      if (isHead && now.epoch === head.epoch) throw executor.abandon(strange(next.ifSeq));
      throw executor.abandon(broken(`row ${first.seq} does not follow its last row`));
    }
  },

  async setEpoch(epoch) {
    await executor.run(SET_EPOCH, { epoch });
  },
});

/** The head is as it was read, so what does not fit is the row that it names. */
const strange = (seq: number): CryptoError =>
  new CryptoError("ERR_INTEGRITY", `Row ${seq} of the log was written with another key`, {
    context: {
      hint: "If the vault key was not changed: lango audit verify. A server has to be started again",
    },
  });

const broken = (what: string): CryptoError =>
  new CryptoError("ERR_CONFLICT", `The audit log cannot go on: ${what}`, { retryable: true });
