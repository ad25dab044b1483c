import { setImmediate } from "node:timers/promises";
import { type Bytes, bytesEqual } from "@lango/crypto-core";
import type { AuditRow, StoreReads } from "@lango/store";
import type { AuditFault } from "../types.ts";
import { type AuditKey, keyOfEpoch, linkHash, linkMac } from "./chain.ts";
import { type AuditEntry, decodeEntry } from "./entry.ts";

/** What is known of the chain after walking it up to `seq`. */
export interface ChainWalk {
  seq: number;
  hash: Bytes;
  epoch: number;
  readonly faults: AuditFault[];
}

export const newWalk = (): ChainWalk => ({
  seq: 0,
  hash: new Uint8Array(32),
  epoch: 0,
  faults: [],
});

export interface WalkListener {
  onEntry(seq: number, entry: AuditEntry): void;
  onPage?(): Promise<void>;
}

/** With 500, what is alive at once makes V8 take 70 MiB more. */
const PAGE_ROWS = 100;

/**
 * Walks from where the last walk ended to where the chain ends now: numbers, links, hashes, and MACs where the key is at hand. What
 * does not fit goes to the faults of the walk.
 */
export const walkChain = async (
  store: Pick<StoreReads, "audit">,
  auditKey: AuditKey | undefined,
  walk: ChainWalk,
  { onEntry, onPage }: WalkListener,
): Promise<void> => {
  const head = await store.audit.head();
  while (walk.seq < head.seq) {
    const limit = Math.min(PAGE_ROWS, head.seq - walk.seq);
    const page = await store.audit.page(walk.seq + 1, limit);
    for (const row of page) {
      const entry = checkLink(row, auditKey, walk);
      if (entry) onEntry(row.seq, entry);
    }
    await onPage?.();
    if (page.length === 0) break;
    await setImmediate();
  }
  if (walk.seq !== head.seq) {
    const problem = `The log ends at row ${walk.seq}, its head says ${head.seq}`;
    walk.faults.push({ seq: walk.seq, problem });
  } else if (!bytesEqual(head.hash, walk.hash)) {
    walk.faults.push({ seq: walk.seq, problem: "The head does not fit the last row" });
  }
};

/** @returns What the row says, if it can be read. */
const checkLink = (
  row: AuditRow,
  auditKey: AuditKey | undefined,
  walk: ChainWalk,
): AuditEntry | undefined => {
  const { seq, prev, hash, mac, epoch, entry } = row;
  const fault = (problem: string): void => {
    walk.faults.push({ seq, problem });
  };
  if (seq !== walk.seq + 1) {
    const first = walk.seq + 1;
    fault(
      first === seq - 1 ? `Row ${first} is missing` : `Rows ${first} to ${seq - 1} are missing`,
    );
  } else if (!bytesEqual(prev, walk.hash)) {
    fault(`Row ${seq} does not follow row ${seq - 1}`);
  }
  if (!bytesEqual(linkHash(prev, entry), hash)) fault(`Row ${seq} was edited: its hash differs`);
  if (auditKey) {
    const key = keyOfEpoch(auditKey, epoch);
    if (!key) fault(`Row ${seq} is of epoch ${epoch}, which has no key here`);
    else if (!bytesEqual(linkMac(key, hash), mac)) {
      fault(`Row ${seq} was not written by this vault: its MAC differs`);
    }
  }
  // Whoever has a vault key from before has the audit key of its time, which writes no row after the change.
  if (epoch < walk.epoch) fault(`Row ${seq} is of epoch ${epoch}, after rows of ${walk.epoch}`);
  else if (!auditKey || keyOfEpoch(auditKey, epoch)) walk.epoch = epoch;
  const decoded = decodeEntry(entry);
  if (!decoded) fault(`Row ${seq} cannot be read`);
  walk.seq = seq;
  walk.hash = hash;
  return decoded;
};
