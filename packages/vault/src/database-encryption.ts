import { type Bytes, CryptoError, zero } from "@lango/crypto-core";
import { RECRYPT_STAGES, type RecryptOptions, type Store } from "@lango/store";
import type { VaultContext } from "./context.ts";
import type {
  ChangeDatabaseOptions,
  ChangedDatabase,
  DatabaseEncryption,
  DatabaseState,
} from "./database-types.ts";
import { auditFailure } from "./failures.ts";
import type { Gate } from "./gate.ts";
import { reached } from "./stages.ts";

/** The stages before the new file is in place: until then a change can be given up. */
const LAST_RETURN = RECRYPT_STAGES.indexOf("checked");

export const createDatabaseEncryption = (context: VaultContext, gate: Gate): DatabaseEncryption => {
  const { store, keys } = context;
  return {
    status: () => stateOf(store),
    encrypt: ({ cipherPageSize, ...options } = {}) =>
      gate.run(() =>
        underLock(context, "database.encrypt", async () => {
          if (store.cipher !== undefined) return UNCHANGED;
          const key = keys.database();
          try {
            const change = { key, cipherPageSize };
            return await changeFile(context, "database.encrypt", change, options);
          } finally {
            zero(key);
          }
        }),
      ),
    decrypt: (options = {}) =>
      gate.run(() =>
        underLock(context, "database.decrypt", async () =>
          store.cipher === undefined
            ? UNCHANGED
            : changeFile(context, "database.decrypt", {}, options),
        ),
      ),
  };
};

/**
 * Puts an encrypted database under another raw key; one in plaintext stays so. The caller holds the vault's lock, and sees to it
 * that the new key can be derived before: whenever the process dies, the file opens with the old key or the new one.
 *
 * @param newKey - 32 bytes; the caller zeroes them.
 * @throws {@link CryptoError} as {@link DatabaseEncryption.encrypt}.
 */
export const rekeyDatabase = async (
  context: VaultContext,
  newKey: Bytes,
  options: ChangeDatabaseOptions = {},
): Promise<ChangedDatabase> =>
  context.store.cipher === undefined
    ? UNCHANGED
    : changeFile(context, "database.rekey", { key: newKey }, options);

export const stateOf = ({ cipher }: Pick<Store, "cipher">): DatabaseState =>
  cipher === undefined
    ? { encrypted: false }
    : { encrypted: true, cipherPageSize: cipher.pageSize };

export const UNCHANGED: ChangedDatabase = { changed: false, rows: 0 };

const underLock = async (
  { store, log }: VaultContext,
  action: string,
  run: () => Promise<ChangedDatabase>,
): Promise<ChangedDatabase> => {
  try {
    return await store.withLock(run);
  } catch (error) {
    await auditFailure(log, { action }, error);
    throw error;
  }
};

/** The caller holds the lock. */
export const changeFile = async (
  { store, log }: VaultContext,
  action: string,
  change: Pick<RecryptOptions, "key" | "cipherPageSize">,
  { onProgress, signal }: ChangeDatabaseOptions,
): Promise<ChangedDatabase> => {
  const { recrypt } = store;
  if (recrypt === undefined) {
    throw new CryptoError("ERR_UNSUPPORTED", "A database on a server is not encrypted by lango", {
      context: { hint: "The server's disk is: see docs/postgres.md" },
    });
  }
  signal?.throwIfAborted();
  // Both rows come along: one that was begun and not done is what a killed run leaves.
  await log.commit("full", { action, detail: "begun" });
  const total = RECRYPT_STAGES.length;
  onProgress?.({ done: 0, total });
  const { rows } = await recrypt({
    ...change,
    onStage: (stage) => {
      const step = RECRYPT_STAGES.indexOf(stage);
      if (step <= LAST_RETURN) signal?.throwIfAborted();
      reached(`database:${stage}`);
      onProgress?.({ done: step + 1, total });
    },
  });
  await log.commit("full", { action, detail: `done, ${rows} rows` });
  return { changed: true, rows };
};
