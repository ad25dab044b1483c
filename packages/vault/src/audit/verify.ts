import { setImmediate } from "node:timers/promises";
import { type Bytes, bytesEqual, toHex } from "@lango/crypto-core";
import type { AuditRow, StoreReads } from "@lango/store";
import type { AuditFault, AuditReport, VerifyOptions } from "../types.ts";
import { type AuditKey, linkHash, linkMac } from "./chain.ts";
import { type AuditEntry, decodeEntry } from "./entry.ts";
import { currentHash, currentRows } from "./row-hashes.ts";

const PAGE_ROWS = 500;
const MAX_FAULTS = 100;
/** How often rows that differ are looked at again while other processes write. */
const MAX_LOOKS = 50;

/** What the chain says of a row: its newest hash, and the row of the chain that says so. */
interface Expected {
  readonly hash: string | null;
  readonly seq: number;
}

/** What is known of the chain after walking it up to `seq`. */
interface Walk {
  seq: number;
  hash: Bytes;
  readonly faults: AuditFault[];
  /** By `table row`. */
  readonly expected: Map<string, Expected> | undefined;
}

/**
 * Walks the whole chain: numbers, links, hashes, MACs where the key is at hand, and where it ends.
 *
 * Whoever can write the database but has no key can still cut rows off the end, together with what they changed, or
 * bring back an old copy of everything: compare `head` with one noted elsewhere.
 */
export const verifyChain = async (
  store: StoreReads,
  auditKey: AuditKey | undefined,
  { rows = false }: VerifyOptions = {},
): Promise<AuditReport> => {
  const walk: Walk = {
    seq: 0,
    hash: new Uint8Array(32),
    faults: [],
    expected: rows ? new Map() : undefined,
  };
  await walkOn(store, auditKey, walk);
  if (walk.expected) await compareRows(store, auditKey, walk, walk.expected);
  return {
    ok: walk.faults.length === 0,
    rows: walk.seq,
    head: toHex(walk.hash),
    faults: distinct(walk.faults).slice(0, MAX_FAULTS),
    unanchored: walk.seq,
  };
};

/** The end of the chain is looked at more than once. */
const distinct = (faults: readonly AuditFault[]): AuditFault[] => [
  ...new Map(faults.map((fault) => [`${fault.seq} ${fault.problem}`, fault])).values(),
];

/** Walks from where the last walk ended to the end of the chain. */
const walkOn = async (
  store: StoreReads,
  auditKey: AuditKey | undefined,
  walk: Walk,
): Promise<void> => {
  for (;;) {
    const page = await store.audit.page(walk.seq + 1, PAGE_ROWS);
    for (const row of page) checkLink(row, auditKey, walk);
    if (page.length === 0) {
      const head = await store.audit.head();
      // Rows were added after the page was read: they are next.
      if (head.seq > walk.seq && (await store.audit.page(walk.seq + 1, 1)).length > 0) continue;
      if (head.seq !== walk.seq) {
        const problem = `The log ends at row ${walk.seq}, its head says ${head.seq}: rows were cut off`;
        walk.faults.push({ seq: walk.seq, problem });
      } else if (!bytesEqual(head.hash, walk.hash)) {
        walk.faults.push({ seq: walk.seq, problem: "The head does not fit the last row" });
      }
      return;
    }
    await setImmediate();
  }
};

const checkLink = (row: AuditRow, auditKey: AuditKey | undefined, walk: Walk): void => {
  const { seq, prev, hash, mac, epoch, entry } = row;
  const fault = (problem: string): void => {
    walk.faults.push({ seq, problem });
  };
  if (seq !== walk.seq + 1) {
    fault(`Rows ${walk.seq + 1} to ${seq - 1} are missing`);
  } else if (!bytesEqual(prev, walk.hash)) {
    fault(`Row ${seq} does not follow row ${seq - 1}`);
  }
  if (!bytesEqual(linkHash(prev, entry), hash)) fault(`Row ${seq} was edited: its hash differs`);
  if (auditKey) {
    if (epoch !== auditKey.epoch) fault(`Row ${seq} is of epoch ${epoch}, which has no key here`);
    else if (!bytesEqual(linkMac(auditKey.key, hash), mac)) {
      fault(`Row ${seq} was not written by this vault: its MAC differs`);
    }
  }
  const decoded = decodeEntry(entry);
  if (!decoded) fault(`Row ${seq} cannot be read`);
  else if (walk.expected) note(walk.expected, seq, decoded);
  walk.seq = seq;
  walk.hash = hash;
};

const note = (expected: Map<string, Expected>, seq: number, entry: AuditEntry): void => {
  for (const [table, row, hash] of entry.rows ?? []) {
    // A removed row leaves the map: with every pruned version in it, memory would grow with the age of the vault.
    if (hash === null) expected.delete(`${table} ${row}`);
    else expected.set(`${table} ${row}`, { hash, seq });
  }
};

const compareRows = async (
  store: StoreReads,
  auditKey: AuditKey | undefined,
  walk: Walk,
  expected: Map<string, Expected>,
): Promise<void> => {
  const unseen = new Set(expected.keys());
  const suspects = new Set<string>();
  for await (const [table, row, hash] of currentRows(store)) {
    const name = `${table} ${row}`;
    unseen.delete(name);
    if (expected.get(name)?.hash !== hash) suspects.add(name);
  }
  for (const name of unseen) suspects.add(name);
  await lookAgain(store, auditKey, walk, expected, suspects);
};

/**
 * Looks at the rows that differ once more. Others may have written meanwhile: a verdict counts only when the chain stood
 * still around it.
 */
const lookAgain = async (
  store: StoreReads,
  auditKey: AuditKey | undefined,
  walk: Walk,
  expected: Map<string, Expected>,
  suspects: Set<string>,
): Promise<void> => {
  for (let look = 1; suspects.size > 0; look += 1) {
    await walkOn(store, auditKey, walk);
    const found: AuditFault[] = [];
    for (const name of suspects) {
      const [table = "", row = ""] = name.split(" ");
      const hash = await currentHash(store, table, row);
      const wanted = expected.get(name);
      if (hash === (wanted?.hash ?? null)) suspects.delete(name);
      else found.push({ seq: wanted?.seq ?? 0, problem: rowProblem(table, row, hash, wanted) });
    }
    if ((await store.audit.head()).seq <= walk.seq || look === MAX_LOOKS) {
      walk.faults.push(...found);
      return;
    }
  }
};

const rowProblem = (
  table: string,
  row: string,
  hash: string | null,
  wanted: Expected | undefined,
): string => {
  const what = `Row ${row} of table ${table}`;
  if (!wanted) return `${what} is not in the log`;
  if (hash === null) return `${what} is gone; row ${wanted.seq} of the log wrote it`;
  return `${what} is not as row ${wanted.seq} of the log wrote it`;
};
