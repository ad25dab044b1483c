import { setImmediate } from "node:timers/promises";
import { zero } from "@lango/crypto-core";
import { buildKeyslots, parseKeyslots, verifyKeyslots } from "@lango/envelope";
import type { SecretRow, StoreTransaction } from "@lango/store";
import type { RowChange } from "./audit/entry.ts";
import { changeOf } from "./audit/row-hashes.ts";
import { rekeyDatabase } from "./database-encryption.ts";
import type { RekeyContext } from "./rekey.ts";
import type { RenewOptions, RenewResult } from "./rekey-types.ts";
import { checkRow, isSound, type SteeringTable, type SteeringTables, withMac } from "./rows.ts";
import { settle, writeKeyslots } from "./slot-file-state.ts";
import { reached } from "./stages.ts";

type Parts = Pick<RekeyContext, "context" | "paths" | "vaultKey">;

const BATCH_ROWS = 250;
const ACTION = "vault.renew-rows";

/**
 * Writes every row that is under the former rows key anew under the one of now, then ends the former one. Others go on reading and
 * writing: they take both, and write with the new one. It asks the rows what is left to do, so it may be repeated.
 */
export const renewRows = async (
  parts: Parts,
  { onProgress, signal }: RenewOptions = {},
): Promise<RenewResult> => {
  const { context } = parts;
  if (!context.keys.rows.former) return { rows: 0 };
  let rows = 0;
  for (;;) {
    signal?.throwIfAborted();
    const steering = await context.store.transaction("full", (tx) => renewSteering(tx, parts));
    reached("renew:steering");
    const total = (await context.store.counts()).secrets;
    let done = 0;
    let renewed = 0;
    for (let after: SecretRow | undefined; ; ) {
      signal?.throwIfAborted();
      const page = await context.store.secrets.walk(after, BATCH_ROWS);
      after = page.at(-1);
      if (!after) break;
      renewed += await renewSecrets(parts, page);
      reached("renew:batch");
      done += page.length;
      onProgress?.({ done: Math.min(done, total), total });
      await setImmediate();
    }
    rows += steering + renewed;
    // What was there before is done, and nobody writes under the former key: a second look is for proof.
    if (steering + renewed === 0) break;
  }
  await endFormer(parts);
  reached("renew:ended");
  return { rows };
};

/** The rows that are few; all in one transaction. */
const renewSteering = async (tx: StoreTransaction, { context }: Parts): Promise<number> => {
  const { log } = context;
  const changes: RowChange[] = [];
  const renew = async <T extends SteeringTable>(
    table: T,
    row: SteeringTables[T],
    put: (next: SteeringTables[T]) => Promise<void>,
  ): Promise<void> => {
    const next = renewedRow(context.keys.rows, table, row);
    if (!next) return;
    await put(next);
    changes.push(changeOf(table, next));
  };
  const vault = await tx.vault.get();
  if (vault) await renew("vault", vault, (next) => tx.vault.update(next, vault.mac));
  for (const key of await tx.keys.list()) {
    await renew("keys", key, (next) => tx.keys.update(next, key.mac));
    for (const version of await tx.keys.listVersions(key.id)) {
      await renew("key_versions", version, (next) => tx.keys.updateVersion(next, version.mac));
    }
  }
  for (const row of await tx.dataKeys.list()) {
    await renew("data_keys", row, (next) => tx.dataKeys.update(next, row.mac));
  }
  for (const row of await tx.companions.list()) {
    await renew("companions", row, (next) => tx.companions.update(next, row.mac));
  }
  for (const kind of ["grant", "handle"] as const) {
    for (const row of await tx.permits.list(kind)) {
      await renew("permits", row, (next) => tx.permits.use(next, row.mac));
    }
  }
  for (const row of await tx.policies.list()) {
    await renew("policies", row, (next) => tx.policies.put(next));
  }
  for (const row of await tx.jobs.list()) {
    await renew("jobs", row, (next) => tx.jobs.put(next, row.mac));
  }
  await appendChanges(tx, log, changes);
  return changes.length;
};

const renewSecrets = async (
  { context: { store, keys, log } }: Parts,
  page: readonly SecretRow[],
): Promise<number> => {
  const next = page.flatMap((before) => {
    const after = renewedRow(keys.rows, "secrets", before);
    return after ? [{ before, after }] : [];
  });
  if (next.length === 0) return 0;
  return store.transaction("full", async (tx) => {
    const changes: RowChange[] = [];
    for (const { before, after } of next) {
      // Changed meanwhile: then it was written under the key of now.
      if (!(await tx.secrets.setMac(after.id, after.mac, before.mac))) continue;
      changes.push(changeOf("secrets", after));
    }
    await appendChanges(tx, log, changes);
    return changes.length;
  });
};

const MAX_ROWS = 2000;

const appendChanges = async (
  tx: StoreTransaction,
  log: Parts["context"]["log"],
  changes: readonly RowChange[],
): Promise<void> => {
  for (let start = 0; start < changes.length; start += MAX_ROWS) {
    await log.appendIn(tx, { action: ACTION, rows: changes.slice(start, start + MAX_ROWS) });
  }
};

/** `undefined` for a row that is under the key of now. @throws {@link CryptoError} `ERR_INTEGRITY` for one that is under neither. */
const renewedRow = <T extends SteeringTable>(
  rowsKeys: Parts["context"]["keys"]["rows"],
  table: T,
  row: SteeringTables[T],
): SteeringTables[T] | undefined => {
  if (isSound({ current: rowsKeys.current }, table, row)) return undefined;
  checkRow(rowsKeys, table, row);
  return withMac(rowsKeys, table, row);
};

/** Until the next keyslots file, the database is looked for under either key. */
const renewDatabase = async (context: Parts["context"]): Promise<void> => {
  const key = context.keys.database();
  try {
    await rekeyDatabase(context, key);
  } finally {
    zero(key);
  }
};

/** A keyslots file without the former key. What was answered to paired devices is under it too, and goes. */
const endFormer = ({ context, paths, vaultKey }: Parts): Promise<void> =>
  context.store.withLock(async () => {
    const { keyslots } = await settle(context, paths, vaultKey);
    const { vaultId, generation, slots, inherited = {} } = keyslots;
    // Another process was faster.
    if (inherited.formerRows === undefined) return;
    if (inherited.formerDatabase !== undefined) await renewDatabase(context);
    const { formerRows: _, formerDatabase: __, ...next } = inherited;
    const after = buildKeyslots(vaultKey, {
      ...{ vaultId, generation: generation + 1, slots },
      inherited: next,
    });
    await writeKeyslots(
      context,
      paths,
      after,
      async (written) => verifyKeyslots(vaultKey, parseKeyslots(written)),
      { action: ACTION, detail: "no row is under the former key" },
      async (tx) => {
        await tx.companions.pruneResults(Number.MAX_SAFE_INTEGER);
        return [];
      },
    );
  });
