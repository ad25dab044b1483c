import { readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { CryptoError, isCryptoError, randomBytesFresh, toHex, utf8 } from "@lango/crypto-core";
import type { Store, StoreReads } from "@lango/store";
import { appendSynced } from "../append-file.ts";
import { readSmallFile, syncFolder } from "../files.ts";
import { reached } from "../stages.ts";
import type { AuditFault } from "../types.ts";
import { type AuditKey, appendEntries, checkEpoch } from "./chain.ts";
import { decodeEntry } from "./entry.ts";
import type { NewEntry } from "./log.ts";
import {
  addToSegment,
  beginSegment,
  parseSpool,
  type Segment,
  type SpoolContent,
} from "./spool-file.ts";

/** Keeps the rows of reads while the database cannot take them. All processes share one file, under the vault's lock. */
export interface Spool {
  /**
   * Adds entries; resolves when they are on the disk.
   *
   * @param cause - Why they could not be committed; what is thrown when the spool cannot take them either names it.
   */
  add(entries: readonly string[], cause: unknown): Promise<void>;
  /** Moves all entries into the chain, if there are any. A damaged file is set aside, with a row that says so. */
  fold(): Promise<void>;
  /** Folds what this process has added, while others go on. Never rejects. */
  foldSoon(): void;
  /** Tries once more to fold. Never rejects. */
  close(): Promise<void>;
}

export interface SpoolOptions {
  readonly store: Store;
  readonly path: string;
  readonly auditKey: AuditKey;
  readonly vaultId: Uint8Array;
  readonly stamp: (entry: NewEntry) => string;
}

export const MAX_SPOOL_BYTES: number = 16 * 1024 * 1024;

export const createSpool = (options: SpoolOptions): Spool => {
  const { store, path, auditKey, vaultId } = options;
  /** The end of the file as this process left it, and its size. */
  let mine: { readonly segment: Segment; readonly size: number } | undefined;
  let folding: Promise<void> | undefined;

  const add: Spool["add"] = (entries, cause) =>
    store.withLock(async () => {
      try {
        const head = await store.audit.head();
        checkEpoch(head, auditKey);
        await appendSynced(path, async ({ size }) => {
          // Reading it again for each entry would take longer and longer. What was changed within it shows when it is folded.
          const content: SpoolContent =
            mine?.size === size
              ? { segment: mine.segment, wholeBytes: size }
              : ((await readSpool(path, auditKey, vaultId)) ?? { wholeBytes: 0 });
          const { segment, wholeBytes: keep, damagedLine } = content;
          if (damagedLine !== undefined) {
            throw new CryptoError("ERR_INTEGRITY", damageText(path, damagedLine));
          }
          const begun = segment
            ? { segment, text: "" }
            : beginSegment(auditKey.key, vaultId, newId(), head.seq);
          const added = addToSegment(auditKey.key, begun.segment, entries);
          const bytes = utf8(begun.text + added.text);
          if (keep + bytes.length > MAX_SPOOL_BYTES) {
            throw new CryptoError("ERR_UNAVAILABLE", `${path} is full`, { retryable: false });
          }
          mine = { segment: added.segment, size: keep + bytes.length };
          return { keep, bytes };
        });
      } catch (error) {
        mine = undefined;
        if (!isCryptoError(error)) throw error;
        const message = `The read cannot be audited: ${error.message}`;
        throw new CryptoError(error.code, message, { cause });
      }
      reached("spool:added");
    });

  const fold = async (): Promise<void> => {
    if (!mine && (await readSmallFile(path, 0)) === undefined) return;
    await store.withLock(async () => {
      await foldFile(options, mine?.segment);
      mine = undefined;
    });
  };

  const tryFold = (): Promise<void> => {
    folding ??= fold()
      // Still locked or full: with the next commit, or the next opening.
      .catch(() => undefined)
      .finally(() => {
        folding = undefined;
      });
    return folding;
  };

  return {
    add,
    fold,
    foldSoon() {
      if (mine) void tryFold();
    },
    async close() {
      await folding;
      if (mine) await tryFold();
    },
  };
};

const newId = (): string => toHex(randomBytesFresh(12));

const readSpool = async (
  path: string,
  auditKey: AuditKey | undefined,
  vaultId: Uint8Array,
): Promise<SpoolContent | undefined> => {
  const bytes = await readSmallFile(path, MAX_SPOOL_BYTES);
  const content = bytes && parseSpool(bytes, auditKey?.key, vaultId);
  if (!content || bytes.length <= MAX_SPOOL_BYTES) return content;
  // No file of lango is that long.
  return { damagedLine: (content.segment?.entries.length ?? 0) + 2, ...content };
};

const damageText = (path: string, line: number): string =>
  `Line ${line} of ${basename(path)} is not as lango wrote it`;

/** Runs under the vault's lock. A process that dies in the middle leaves the file; what is in the chain is known by its mark. */
const foldFile = async (
  { store, path, auditKey, vaultId, stamp }: SpoolOptions,
  mine: Segment | undefined,
): Promise<void> => {
  const content = await readSpool(path, auditKey, vaultId);
  const texts: string[] = [];
  if (content?.segment) {
    const { id, after, entries } = content.segment;
    const known = await foldedEntries(store, id, after);
    if (entries.length > known) {
      const spool = { segment: id, entries: entries.length };
      texts.push(stamp({ action: MARK, target: id, spool }), ...entries.slice(known));
    }
  }
  const damage = content?.damagedLine;
  const lost = mine && (await isLost(store, mine, content?.segment));
  const problem =
    damage === undefined
      ? lost && `The end of ${basename(path)} was cut off`
      : damageText(path, damage);
  const aside = damage === undefined ? undefined : asidePath(path);
  if (problem) {
    const detail = aside ? `${problem}; kept as ${basename(aside)}` : problem;
    texts.push(stamp({ action: MARK, outcome: "failure", code: "ERR_INTEGRITY", detail }));
  }
  if (texts.length > 0) {
    await store.transaction("full", (tx) => appendEntries(tx, () => texts, auditKey));
  }
  reached("spool:folded");
  if (aside) await rename(path, aside);
  else await rm(path, { force: true });
  await syncFolder(dirname(path));
};

const MARK = "audit.spool";

/** How many entries of a segment are in the chain already. */
const foldedEntries = async (
  store: Pick<StoreReads, "audit">,
  id: string,
  after: number,
): Promise<number> => {
  let folded = 0;
  for (let seq = after; ; ) {
    const page = await store.audit.page(seq + 1, 500);
    for (const { entry } of page) {
      const mark = entry.includes(`"action":"${MARK}"`) ? decodeEntry(entry)?.spool : undefined;
      if (mark?.segment === id) folded = Math.max(folded, mark.entries);
    }
    const last = page.at(-1);
    if (!last) return folded;
    seq = last.seq;
  }
};

/** Whether something that this process added is neither in the file nor in the chain. */
const isLost = async (
  store: Pick<StoreReads, "audit">,
  mine: Segment,
  found: Segment | undefined,
): Promise<boolean> => {
  const { length } = mine.entries;
  if (found?.id === mine.id && found.entries.length >= length) return false;
  return (await foldedEntries(store, mine.id, mine.after)) < length;
};

const asidePath = (path: string): string =>
  join(dirname(path), `audit-spool.damaged-${toHex(randomBytesFresh(4))}.jsonl`);

/** What `verify` says of the files. */
export const reviewSpool = async (
  path: string,
  auditKey: AuditKey | undefined,
  vaultId: Uint8Array,
): Promise<{ readonly waiting: number; readonly faults: readonly AuditFault[] }> => {
  const content = await readSpool(path, auditKey, vaultId);
  const problems = (await readdir(dirname(path)))
    .filter((name) => name.startsWith("audit-spool.damaged-"))
    .map(
      (name) =>
        `${name} is a spool file that was damaged or changed; remove it once it is looked into`,
    );
  if (content?.damagedLine !== undefined) problems.unshift(damageText(path, content.damagedLine));
  return {
    waiting: content?.segment?.entries.length ?? 0,
    faults: problems.map((problem) => ({ seq: 0, problem })),
  };
};
