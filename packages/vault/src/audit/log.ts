import { isCryptoError } from "@lango/crypto-core";
import type { Durability, Store, StoreReads, StoreTransaction } from "@lango/store";
import type { Audience, AuditActor } from "../types.ts";
import { type AuditKey, appendEntries, checkEpoch } from "./chain.ts";
import { type AuditEntry, encodeEntry, type Use } from "./entry.ts";
import type { Spool } from "./spool.ts";

/** An entry before the log adds when and who. */
export type NewEntry = Omit<AuditEntry, "ts" | "actor" | "outcome"> & {
  readonly outcome?: AuditEntry["outcome"] | undefined;
  readonly audience?: Audience | undefined;
};

/** A read that waits for its audit row before it releases what it read. */
export interface NewUse {
  readonly action: string;
  readonly target: string;
  readonly version?: number | undefined;
  readonly audience?: Audience | undefined;
}

/** Writes the chain. */
export interface AuditLog {
  /**
   * Adds entries in the transaction that makes the change. Call it last: the head is the row that all writers share.
   *
   * @returns The number of the last row.
   */
  appendIn(tx: StoreTransaction, ...entries: NewEntry[]): Promise<number>;
  /** Adds an entry in a transaction of its own. */
  commit(durability: Durability, entry: NewEntry): Promise<number>;
  /** Adds entries about what changes nothing; they go to the spool, if there is one, while the log cannot grow. */
  commitRead(...entries: NewEntry[]): Promise<void>;
  /** @throws {@link CryptoError} `ERR_LOCKED` when the vault key was changed: for what is written without a row here. */
  checkCurrent(reads: Pick<StoreReads, "audit">): Promise<void>;
  /** Calls `listener` with the number of the last row whenever rows that are no anchors are added; some may not be committed. */
  onRows(listener: (seq: number) => void): void;
  /** Adds a read; resolves when it is committed. Reads of one event-loop tick share a row and a commit. */
  use(use: NewUse): Promise<void>;
}

export interface AuditLogOptions {
  readonly store: Store;
  readonly auditKey: AuditKey;
  readonly clock: () => number;
  /** The source that unlocked the vault. */
  readonly source: string;
  /** Takes the rows of reads that cannot be committed. Default: those reads fail. */
  readonly spool?: Pick<Spool, "add" | "foldSoon"> | undefined;
}

/** Bounds the size of a row. */
const MAX_USES_PER_ROW = 256;

interface WaitingUse extends NewUse {
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export const createAuditLog = (options: AuditLogOptions): AuditLog => {
  const { store, auditKey, spool } = options;
  const stamp = createStamp(options);
  let listener: (seq: number) => void = () => undefined;
  let waiting: WaitingUse[] = [];
  let scheduled = false;

  const appendIn: AuditLog["appendIn"] = async (tx, ...entries) => {
    const seq = await appendEntries(tx, () => entries.map(stamp), auditKey);
    if (entries.some(({ anchor }) => anchor === undefined)) listener(seq);
    return seq;
  };

  const commit: AuditLog["commit"] = (durability, entry) =>
    store.transaction(durability, (tx) => appendIn(tx, entry));

  const commitRead: AuditLog["commitRead"] = async (...entries) => {
    try {
      // NORMAL survives the death of this process; a power cut may lose the last rows of reads, never one of a write.
      await store.transaction("normal", (tx) => appendIn(tx, ...entries));
    } catch (error) {
      if (!spool || !canSpool(error)) throw error;
      await spool.add(entries.map(stamp), error);
      return;
    }
    spool?.foldSoon();
  };

  const flush = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      try {
        await commitRead(...useEntries(batch));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    scheduled = false;
  };

  return {
    appendIn,
    commit,
    commitRead,
    checkCurrent: async (reads) => checkEpoch(await reads.audit.head(), auditKey),
    onRows: (added) => {
      listener = added;
    },
    use: (use) =>
      new Promise<void>((resolve, reject) => {
        waiting.push({ ...use, resolve, reject });
        if (scheduled) return;
        scheduled = true;
        // After all callbacks of this tick, so that every read of it is there.
        setImmediate(flush);
      }),
  };
};

/** The text of an entry, with when and who. */
export const createStamp = ({
  clock,
  source,
}: Pick<AuditLogOptions, "clock" | "source">): ((entry: NewEntry) => string) => {
  const actors = { owner: actor("owner", source), agent: actor("agent", source) };
  return ({ audience = "owner", outcome = "success", ...entry }) =>
    encodeEntry({ ...entry, ts: clock(), actor: actors[audience], outcome });
};

/** The database is there and sound, but locked by others or full. Anything else is no reason to go on without it. */
export const canSpool = (error: unknown): boolean =>
  isCryptoError(error) && (error.code === "ERR_BUSY" || error.code === "ERR_UNAVAILABLE");

export const actor = (kind: Audience, source: string): AuditActor => {
  const uid = process.getuid?.();
  return { kind, pid: process.pid, source, ...(uid === undefined ? {} : { uid }) };
};

/** One row lists many reads: a row each costs 0.55 of a bare read at 64 in flight, a shared row 0.74. */
const useEntries = (uses: readonly WaitingUse[]): NewEntry[] => {
  const entries: NewEntry[] = [];
  for (const audience of ["owner", "agent"] as const) {
    const own = uses
      .filter((use) => (use.audience ?? "owner") === audience)
      .map(({ action, target, version }): Use => [action, target, version ?? null]);
    for (let start = 0; start < own.length; start += MAX_USES_PER_ROW) {
      entries.push({ action: "use", audience, uses: own.slice(start, start + MAX_USES_PER_ROW) });
    }
  }
  return entries;
};
