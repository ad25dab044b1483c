import { setImmediate } from "node:timers/promises";
import { type Bytes, bytesEqual, CryptoError, toHex } from "@lango/crypto-core";
import type { StoreReads } from "@lango/store";
import type { AuditRecord, RecordsOptions } from "../audit-record-types.ts";
import { linkHash } from "./chain.ts";
import { decodeEntry, eventsOf } from "./entry.ts";

const PAGE_ROWS = 500;

/** See `LockedVault.audit.records`. */
export async function* readRecords(
  store: Pick<StoreReads, "audit">,
  { from = 1, to, since = Number.NEGATIVE_INFINITY }: RecordsOptions = {},
): AsyncGenerator<AuditRecord, void, undefined> {
  checkRow("from", from);
  if (to !== undefined) checkRow("to", to, 0);
  const last = Math.min((await store.audit.head()).seq, to ?? Number.POSITIVE_INFINITY);
  let prev: Bytes | undefined;
  for (let next = from; next <= last; ) {
    const page = await store.audit.page(next, Math.min(PAGE_ROWS, last - next + 1));
    if (page.length === 0) throw notLinked(next, "is missing");
    for (const row of page) {
      if (row.seq !== next) throw notLinked(next, "is missing");
      // Of the first one only its own hash can be checked: what is before it was not asked for.
      if (prev !== undefined && !bytesEqual(row.prev, prev)) {
        throw notLinked(next, `does not follow row ${next - 1}`);
      }
      if (!bytesEqual(linkHash(row.prev, row.entry), row.hash)) throw notLinked(next, "was edited");
      const entry = decodeEntry(row.entry);
      if (!entry) throw notLinked(next, "cannot be read");
      prev = row.hash;
      next += 1;
      if (entry.ts < since) continue;
      const hash = toHex(row.hash);
      for (const [part, event] of eventsOf(row.seq, entry).entries())
        yield { ...event, part, hash };
    }
    await setImmediate();
  }
}

const checkRow = (what: string, seq: number, least = 1): void => {
  if (Number.isSafeInteger(seq) && seq >= least) return;
  throw new CryptoError("ERR_INVALID_ARGUMENT", `${what} is no number of a row`);
};

const notLinked = (seq: number, problem: string): CryptoError =>
  new CryptoError("ERR_INTEGRITY", `Row ${seq} of the log ${problem}`, {
    context: { hint: "lango audit verify shows every fault" },
  });
