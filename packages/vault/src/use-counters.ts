import type { Store } from "@lango/store";

/** How often secrets and keys were used, and when last. The log is the record; these are for lists. */
export interface UseCounters {
  note(use: { readonly secretId?: string | undefined; readonly keyId?: string | undefined }): void;
  /** Writes what was noted. Never rejects: a use is not undone because it could not be counted. */
  flush(): Promise<void>;
}

export interface UseCountersOptions {
  readonly store: Store;
  readonly clock: () => number;
}

/** Counting within the commit of every read would double its cost; `kill -9` may lose the counts of this long. */
const DELAY_MS = 1000;

interface Count {
  uses: number;
  lastUsedAt: number;
}

export const createUseCounters = ({ store, clock }: UseCountersOptions): UseCounters => {
  let secrets = new Map<string, Count>();
  let keys = new Map<string, Count>();
  let timer: NodeJS.Timeout | undefined;

  const flush = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    if (secrets.size + keys.size === 0) return;
    const noted = { secrets, keys };
    secrets = new Map();
    keys = new Map();
    try {
      await store.transaction("normal", async (tx) => {
        for (const [id, { uses, lastUsedAt }] of noted.secrets) {
          await tx.secrets.touch(id, uses, lastUsedAt);
        }
        for (const [id, { lastUsedAt }] of noted.keys) await tx.keys.touch(id, lastUsedAt);
      });
    } catch {
      // Busy or a full disk: with the next ones.
      for (const [id, count] of noted.secrets) add(secrets, id, count);
      for (const [id, count] of noted.keys) add(keys, id, count);
    }
  };

  return {
    flush,
    note({ secretId, keyId }) {
      const once = { uses: 1, lastUsedAt: clock() };
      if (secretId !== undefined) add(secrets, secretId, once);
      if (keyId !== undefined) add(keys, keyId, once);
      timer ??= setTimeout(flush, DELAY_MS).unref();
    },
  };
};

const add = (counts: Map<string, Count>, id: string, { uses, lastUsedAt }: Count): void => {
  const known = counts.get(id);
  if (known) {
    known.uses += uses;
    known.lastUsedAt = Math.max(known.lastUsedAt, lastUsedAt);
  } else {
    counts.set(id, { uses, lastUsedAt });
  }
};
