import type { Durability, Store, StoreTransaction } from "@lango/store";
import type { Audience, AuditActor } from "../types.ts";
import { type AuditKey, nextRows } from "./chain.ts";
import { type AuditEntry, encodeEntry, type Use } from "./entry.ts";

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
  /** Adds a read; resolves when it is committed. Reads of one event-loop tick share a row and a commit. */
  use(use: NewUse): Promise<void>;
}

export interface AuditLogOptions {
  readonly store: Store;
  readonly auditKey: AuditKey;
  readonly clock: () => number;
  /** The source that unlocked the vault. */
  readonly source: string;
}

/** Bounds the size of a row. */
const MAX_USES_PER_ROW = 256;

interface WaitingUse extends NewUse {
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export const createAuditLog = ({ store, auditKey, clock, source }: AuditLogOptions): AuditLog => {
  const actors = { owner: actor("owner", source), agent: actor("agent", source) };
  let waiting: WaitingUse[] = [];
  let scheduled = false;

  const stamp = ({ audience = "owner", outcome = "success", ...entry }: NewEntry): string =>
    encodeEntry({ ...entry, ts: clock(), actor: actors[audience], outcome });

  const appendIn: AuditLog["appendIn"] = async (tx, ...entries) => {
    const texts = entries.map(stamp);
    const rows = nextRows(await tx.audit.lockHead(), texts, auditKey);
    await tx.audit.append(rows);
    return rows.at(-1)?.seq ?? 0;
  };

  const commit: AuditLog["commit"] = (durability, entry) =>
    store.transaction(durability, (tx) => appendIn(tx, entry));

  const commitUses = (uses: readonly WaitingUse[]): Promise<number> =>
    // NORMAL survives the death of this process; a power cut may lose the last rows of reads, never one of a write.
    store.transaction("normal", (tx) => appendIn(tx, ...useEntries(uses)));

  const flush = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      try {
        await commitUses(batch);
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
