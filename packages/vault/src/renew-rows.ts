import { setImmediate } from "node:timers/promises";
import { bytesEqual, zero } from "@lango/crypto-core";
import { buildKeyslots, parseKeyslots, verifyKeyslots } from "@lango/envelope";
import type { SecretRow, StoreTransaction } from "@lango/store";
import { openAuditKey } from "./audit/audit-keys.ts";
import type { RowChange } from "./audit/entry.ts";
import { changeOf } from "./audit/row-hashes.ts";
import { createRowWitness, forgedRows, type RowWitness } from "./audit/row-witness.ts";
import { rekeyDatabase } from "./database-encryption.ts";
import { auditFailure } from "./failures.ts";
import type { RekeyContext } from "./rekey.ts";
import type { RenewOptions, RenewResult } from "./rekey-types.ts";
import { checkRow, isSound, type SteeringTable, type SteeringTables, withMac } from "./rows.ts";
import { settle, vaultRow, writeKeyslots } from "./slot-file-state.ts";
import { reached } from "./stages.ts";

type Parts = Pick<RekeyContext, "context" | "paths" | "vaultKey">;

const BATCH_ROWS = 250;
const ACTION = "vault.renew-rows";

/** What one look at all rows has done, and left. */
interface Round {
  /** Rows that were written anew. */
  renewed: number;
  /** Rows that somebody forged with the former key, or put back: they stay under it. */
  readonly forged: RowChange[];
}

/**
 * Writes every row that is under the former rows key anew under the one of now, then ends the former one. Others go on reading and
 * writing: they take both, and write with the new one. It asks the rows what is left to do, so it may be repeated. Nobody who is
 * current writes under the former key, so a row under it that is not as the log says gets no new MAC.
 */
export const renewRows = async (parts: Parts, options: RenewOptions = {}): Promise<RenewResult> => {
  const { keys, log } = parts.context;
  if (!keys.rows.former) return { rows: 0 };
  try {
    return await renewAll(parts, options);
  } catch (error) {
    // Whoever gave it up knows that.
    if (!options.signal?.aborted) await auditFailure(log, { action: ACTION }, error);
    throw error;
  }
};

const renewAll = async (
  parts: Parts,
  { onProgress, signal, acceptFaults = false }: RenewOptions,
): Promise<RenewResult> => {
  const { context } = parts;
  const witness = acceptFaults ? await nobody(context) : await witnessOf(context);
  let rows = 0;
  for (;;) {
    signal?.throwIfAborted();
    const round: Round = { renewed: 0, forged: [] };
    await context.store.transaction("full", (tx) => renewSteering(tx, parts, witness, round));
    reached("renew:steering");
    const total = (await context.store.counts()).secrets;
    let done = 0;
    for (let after: SecretRow | undefined; ; ) {
      signal?.throwIfAborted();
      const page = await context.store.secrets.walk(after, BATCH_ROWS);
      after = page.at(-1);
      if (!after) break;
      await renewSecrets(parts, page, witness, round);
      reached("renew:batch");
      done += page.length;
      onProgress?.({ done: Math.min(done, total), total });
      await setImmediate();
    }
    rows += round.renewed;
    // What was there before is done, and nobody writes under the former key: a second look is for proof.
    if (round.renewed > 0) continue;
    if (round.forged.length > 0) throw forgedRows(round.forged);
    break;
  }
  await endFormer(parts);
  reached("renew:ended");
  return { rows };
};

const witnessOf = async (context: Parts["context"]): Promise<RowWitness> => {
  const witness = createRowWitness(openAuditKey(context, await vaultRow(context.store)));
  await witness.follow(context.store);
  return witness;
};

/** For an owner who has looked at what the log does not vouch for. That it was so is in the log from then on. */
const nobody = async ({ log }: Parts["context"]): Promise<RowWitness> => {
  await log.commit("full", { action: ACTION, detail: "rows are not compared with the log" });
  return { follow: async () => undefined, vouchesFor: () => true };
};

/** The rows that are few; all in one transaction. */
const renewSteering = async (
  tx: StoreTransaction,
  { context }: Parts,
  witness: RowWitness,
  round: Round,
): Promise<void> => {
  const { log } = context;
  await witness.follow(tx);
  const changes: RowChange[] = [];
  const renew = async <T extends SteeringTable>(
    table: T,
    row: SteeringTables[T],
    put: (next: SteeringTables[T]) => Promise<void>,
  ): Promise<void> => {
    const next = renewedRow(context.keys.rows, table, row);
    if (!next) return;
    const found = changeOf(table, row);
    if (!witness.vouchesFor(found)) {
      round.forged.push(found);
      return;
    }
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
  round.renewed += changes.length;
};

const renewSecrets = async (
  { context: { store, keys, log } }: Parts,
  page: readonly SecretRow[],
  witness: RowWitness,
  round: Round,
): Promise<void> => {
  const next = page.flatMap((before) => {
    const after = renewedRow(keys.rows, "secrets", before);
    return after ? [{ before, after, found: changeOf("secrets", before) }] : [];
  });
  if (next.length === 0) return;
  const done = await store.transaction("full", async (tx) => {
    await witness.follow(tx);
    const changes: RowChange[] = [];
    const forged: RowChange[] = [];
    for (const { before, after, found } of next) {
      if (!witness.vouchesFor(found)) {
        // Unless it was changed meanwhile.
        const now = await tx.secrets.describe(before.collection, before.name);
        if (now && bytesEqual(now.mac, before.mac)) forged.push(found);
        continue;
      }
      // Changed meanwhile: then it was written under the key of now.
      if (!(await tx.secrets.setMac(after.id, after.mac, before.mac))) continue;
      changes.push(changeOf("secrets", after));
    }
    await appendChanges(tx, log, changes);
    return { renewed: changes.length, forged };
  });
  round.renewed += done.renewed;
  round.forged.push(...done.forged);
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
