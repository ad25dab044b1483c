import { CryptoError, isCryptoError } from "@lango/crypto-core";
import type { KeyRow, Reseal, SealedPage, VersionOfSecret } from "@lango/store";
import type { RowChange } from "./audit/entry.ts";
import { versionHashed } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import type { DataKeys } from "./data-keys.ts";
import { type KeyRegistry, keyUri } from "./key-registry.ts";
import { SECRETS } from "./names.ts";
import type { RotationThread } from "./rotation-thread.ts";
import { checkRow } from "./rows.ts";
import { reached } from "./stages.ts";

/** What the steps of a rotation work with. */
export interface ResealContext {
  readonly context: VaultContext;
  readonly registry: KeyRegistry;
  readonly dataKeys: DataKeys;
  readonly thread: RotationThread;
}

/**
 * One batch: what is read, opened, sealed or written in one go. Another process waits a millisecond or two for its write; with 1,000 rows
 * it was 82 at the worst. With 250, what is alive at once makes V8 take 18 MiB more.
 */
export const BATCH: SealedPage = { limit: 100, maxBytes: 4 * 1024 * 1024 };

/** How often a batch is sealed again because its new data key was retired meanwhile, or left the cache. */
const MAX_ATTEMPTS = 3;

/**
 * Seals versions of one data key again, under the active one of the same key of the registry, in one transaction. What somebody
 * else removed or sealed again in the meantime stays as they left it.
 *
 * @param leaving - The data keys that the rotation takes out of use.
 * @returns How many were sealed again.
 * @throws {@link CryptoError} `ERR_DECRYPTION_FAILED` or `ERR_INTEGRITY`, with the name, for a version that is not as lango
 *   wrote it, and for one of `leaving` that is active again; nothing of the batch is changed then.
 */
export const resealBatch = async (
  parts: ResealContext,
  dataKeyId: string,
  batch: readonly VersionOfSecret[],
  leaving: readonly string[],
): Promise<number> => {
  const { context, dataKeys, thread } = parts;
  const { store, log, vaultId, keys } = context;
  const bytes = batch.reduce((sum, { size }) => sum + size, 0);
  for (let attempt = 1; ; attempt += 1) {
    const key = await keyOf(parts, dataKeyId);
    try {
      const old = await dataKeys.opener(dataKeyId, bytes);
      const sealer = await dataKeys.sealerOfMany(key, SECRETS, { messages: batch.length, bytes });
      if (leaving.includes(sealer.id)) {
        // This process may not know yet. Else an old row was put back: its values would go under it again, and again, for ever.
        if (attempt === MAX_ATTEMPTS) throw activeAgain(sealer.id);
        dataKeys.forget(key, SECRETS);
        continue;
      }
      // The keys may leave the cache at the next turn: they are handed over, or used, in this one.
      const resealed = await thread.reseal({
        ...{ vaultId, rowsKeys: keys.rows, from: old, to: sealer.dataKey, versions: batch },
      });
      const values = batch.map(
        ({ id, version, sealed: before }, i): Reseal => ({
          ...{ secretId: id, version, before, dataKeyId: sealer.id, sealed: resealed[i]!.sealed },
        }),
      );
      const changes = batch.map((row, i) => versionHashed(row, row.version, resealed[i]!.hash));
      reached("rotate:sealed");
      return await store.transaction("normal", async (tx) => {
        const done = await tx.secrets.reseal(values);
        const rows: RowChange[] = changes.filter((_, i) => done[i]);
        reached("rotate:written");
        if (rows.length === 0) return 0;
        const detail = `${rows.length} values of data key ${dataKeyId}`;
        await log.appendIn(tx, { action: "rotation.reseal", target: keyUri(key), detail, rows });
        return rows.length;
      });
    } catch (error) {
      const again =
        isCryptoError(error) && (error.code === "ERR_KEY_RETIRED" || error.code === "ERR_CLOSED");
      if (!again || attempt === MAX_ATTEMPTS) throw error;
      dataKeys.forget(key, SECRETS);
    }
  }
};

const activeAgain = (id: string): CryptoError =>
  new CryptoError("ERR_INTEGRITY", `Data key ${id} was taken out of use, and is active again`, {
    context: { hint: "Compare the database with the log: lango audit verify --rows" },
  });

/** The key of the registry that a data key belongs to, as it is now: a migration may have put it under another provider. */
const keyOf = async (
  { context: { store, keys }, registry }: ResealContext,
  dataKeyId: string,
): Promise<KeyRow> => {
  const row = await store.dataKeys.find(dataKeyId);
  if (!row) throw new CryptoError("ERR_INTEGRITY", `Data key ${dataKeyId} is gone`);
  checkRow(keys.rows, "data_keys", row);
  return registry.findById(row.keyId);
};
