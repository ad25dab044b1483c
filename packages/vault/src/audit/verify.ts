import { setImmediate } from "node:timers/promises";
import { toHex } from "@lango/crypto-core";
import type { StoreReads } from "@lango/store";
import type { HomePaths } from "../keyslots-file.ts";
import type { AuditFault, AuditReport, VerifyOptions } from "../types.ts";
import { readAnchors } from "./anchor-file.ts";
import { type AnchorReview, createAnchorReview } from "./anchor-review.ts";
import type { AuditKey } from "./chain.ts";
import { type ChainWalk, newWalk, walkChain } from "./chain-walk.ts";
import { type AuditEntry, decodeEntry } from "./entry.ts";
import { createNewestHashes, type NewestHashes } from "./newest-hashes.ts";
import { currentHash, currentRows } from "./row-hashes.ts";
import { reviewSpool } from "./spool.ts";

const MAX_FAULTS = 100;
/** How often rows that others keep writing are looked at again. */
const MAX_LOOKS = 50;
/** Names of rows that are looked up in one go. */
const PAUSE_AFTER = 100;

interface Walk extends ChainWalk {
  /** By `table row`. */
  readonly newest: NewestHashes | undefined;
  /** Takes the names that a walk comes across. */
  touched: Set<string> | undefined;
  readonly anchors: AnchorReview;
  /** Rows that say that a spool file was damaged. */
  readonly spoolDamage: number[];
}

export interface VerifyChainOptions extends VerifyOptions {
  readonly store: StoreReads;
  readonly paths: HomePaths;
  readonly vaultId: Uint8Array;
  /** Without it MACs are not checked. */
  readonly auditKey?: AuditKey | undefined;
  /** Base64 of the public keys in the registry, if their rows were authenticated. */
  readonly registryKeys?: ReadonlySet<string> | undefined;
  /** Why the last anchor of this process failed. */
  readonly anchorProblem?: string | undefined;
}

/**
 * Walks the whole chain: numbers, links, hashes, anchors, MACs where the key is at hand, and where it ends.
 *
 * Whoever can write the database but has no key can still cut off the rows after the last anchor, together with what they
 * changed; without anchors, or where their file can be replaced too, bring back an old copy of everything: compare `head`
 * or the anchors with those noted elsewhere.
 */
export const verifyChain = async (options: VerifyChainOptions): Promise<AuditReport> => {
  const { store, paths, vaultId, auditKey, rows = false, registryKeys = new Set() } = options;
  // Before the chain: an anchor is in the chain first.
  const outside = await readAnchors(paths);
  const problem = options.anchorProblem;
  const walk: Walk = {
    ...newWalk(),
    newest: rows ? createNewestHashes() : undefined,
    touched: undefined,
    anchors: createAnchorReview({ vaultId, outside, options, registryKeys, problem }),
    spoolDamage: [],
  };
  await walkOn(store, auditKey, walk);
  if (walk.newest) await compareRows(store, auditKey, walk, walk.newest);
  const { anchors, unanchored, faults } = await walk.anchors.report(store, walk);
  const spool = await reviewSpool(paths.spool, auditKey, vaultId);
  const all = distinct([...walk.faults, ...faults, ...spool.faults]);
  return {
    ok: all.length === 0,
    rows: walk.seq,
    head: toHex(walk.hash),
    faults: all.slice(0, MAX_FAULTS),
    unanchored,
    anchors,
    spool: { waiting: spool.waiting, damaged: walk.spoolDamage },
  };
};

/** The end of the chain is looked at more than once. */
const distinct = (faults: readonly AuditFault[]): AuditFault[] => [
  ...new Map(faults.map((fault) => [`${fault.seq} ${fault.problem}`, fault])).values(),
];

/** Walks on to where the chain ends now; what others add meanwhile is for the next walk. */
const walkOn = (store: StoreReads, auditKey: AuditKey | undefined, walk: Walk): Promise<void> =>
  walkChain(store, auditKey, walk, {
    onEntry: (seq, entry) => noteEntry(walk, seq, entry),
    onPage: () => walk.anchors.check(store),
  });

const noteEntry = (walk: Walk, seq: number, entry: AuditEntry): void => {
  if (entry.anchor) walk.anchors.found(seq, entry.anchor);
  if (entry.action === "audit.spool" && entry.outcome === "failure") walk.spoolDamage.push(seq);
  if (!walk.newest) return;
  for (const [table, row, hash] of entry.rows ?? []) {
    const name = `${table} ${row}`;
    walk.touched?.add(name);
    walk.newest.set(name, hash, seq);
  }
};

const compareRows = async (
  store: StoreReads,
  auditKey: AuditKey | undefined,
  walk: Walk,
  newest: NewestHashes,
): Promise<void> => {
  const suspects = new Set<string>();
  for await (const [table, row, hash] of currentRows(store)) {
    const name = `${table} ${row}`;
    if (!newest.see(name, hash)) suspects.add(name);
  }
  const unseen = await unseenNames(store, newest);
  if (unseen.size !== newest.unseen()) {
    walk.faults.push({ seq: walk.seq, problem: "The log was changed while it was verified" });
  }
  for (const name of unseen) suspects.add(name);
  // Others may have written meanwhile. A verdict on a row counts when the chain did not mention it around the look.
  for (let look = 1; suspects.size > 0 && look <= MAX_LOOKS; look += 1) {
    await walkOn(store, auditKey, walk);
    const found = new Map<string, AuditFault | undefined>();
    for (const name of suspects) found.set(name, await lookAt(store, name, newest));
    const touched = new Set<string>();
    walk.touched = touched;
    await walkOn(store, auditKey, walk);
    walk.touched = undefined;
    for (const [name, fault] of found) {
      if (touched.has(name)) continue;
      suspects.delete(name);
      if (fault) walk.faults.push(fault);
    }
  }
  for (const name of suspects) {
    const [table = "", row = ""] = name.split(" ");
    const problem = `Row ${row} of table ${table} could not be judged: it changed at each of ${MAX_LOOKS} looks`;
    walk.faults.push({ seq: newest.seqOf(name) ?? 0, problem });
  }
};

/** Rows that the log knows and that are not there, or not so. Their names are in the log alone. */
const unseenNames = async (
  store: Pick<StoreReads, "audit">,
  newest: NewestHashes,
): Promise<Set<string>> => {
  const names = new Set<string>();
  for (const seq of newest.unseenSeqs()) {
    const [found] = await store.audit.page(seq, 1);
    for (const [table, row] of (found && decodeEntry(found.entry)?.rows) ?? []) {
      const name = `${table} ${row}`;
      if (newest.isUnseen(name)) names.add(name);
    }
    if (names.size % PAUSE_AFTER === 0) await setImmediate();
  }
  return names;
};

const lookAt = async (
  store: StoreReads,
  name: string,
  newest: NewestHashes,
): Promise<AuditFault | undefined> => {
  const [table = "", row = ""] = name.split(" ");
  const hash = await currentHash(store, table, row);
  const seq = newest.seqOf(name);
  if (hash === null ? seq === undefined : newest.has(name, hash)) return undefined;
  return { seq: seq ?? 0, problem: rowProblem(table, row, hash, seq) };
};

const rowProblem = (
  table: string,
  row: string,
  hash: string | null,
  seq: number | undefined,
): string => {
  const what = `Row ${row} of table ${table}`;
  if (seq === undefined) return `${what} is not in the log`;
  if (hash === null) return `${what} is gone; row ${seq} of the log wrote it`;
  return `${what} is not as row ${seq} of the log wrote it`;
};
