import { setImmediate } from "node:timers/promises";
import { bytesEqual, CryptoError, isCryptoError } from "@lango/crypto-core";
import type { JobRow, VersionOfSecret } from "@lango/store";
import { jobRemoved } from "./audit/row-hashes.ts";
import { checkVouched } from "./audit/row-witness.ts";
import type { DataKeys } from "./data-keys.ts";
import { auditFailure } from "./failures.ts";
import type { Gate } from "./gate.ts";
import { checkNoOrphans } from "./orphans.ts";
import { retireDataKey } from "./retire.ts";
import type { RewrapContext } from "./rewrap.ts";
import { beginRotation } from "./rotation-begin.ts";
import { findRotation, ROTATE } from "./rotation-job.ts";
import { BATCH, type ResealContext, resealBatch } from "./rotation-reseal.ts";
import { noThread, startRotationThread } from "./rotation-thread.ts";
import type { RotateOptions, Rotation, RotationResult, RotationStatus } from "./rotation-types.ts";
import { verifyAll } from "./rotation-verify.ts";
import { checkRow } from "./rows.ts";
import { reached } from "./stages.ts";
import type { AuditReport } from "./types.ts";

const ACTION = "rotation.run";

export interface RotationContext extends RewrapContext, Omit<ResealContext, "thread"> {
  /** Those of the rows as they are now; the caller closes them. */
  readonly freshDataKeys: () => DataKeys;
  /** Compares rows and log. */
  readonly verify: () => Promise<AuditReport>;
}

/** Values that take about as long as a thread takes to start. */
const WORTH_A_THREAD = 2_000;

export const createRotation = (parts: RotationContext, gate: Gate): Rotation => {
  const { store, keys, log } = parts.context;

  const run = (options: RotateOptions, work: () => Promise<RotationResult>) =>
    gate.run(async () => {
      try {
        return await work();
      } catch (error) {
        // Whoever gave it up knows that.
        if (!options.signal?.aborted) await auditFailure(log, { action: ACTION }, error);
        throw error;
      }
    });

  /** Whoever had the former keys may have forged values, which would be sealed again like the others. */
  const checkForged = async ({ acceptFaults = false }: RotateOptions): Promise<void> => {
    if (keys.rows.former) await checkVouched(await parts.verify(), log, ACTION, acceptFaults);
  };

  return {
    start: (options = {}) =>
      run(options, async () => {
        options.signal?.throwIfAborted();
        await checkForged(options);
        await beginRotation(parts);
        return finishRotation(parts, options);
      }),
    resume: (options = {}) =>
      run(options, async () => {
        if (!(await findRotation(store, keys.rows))) throw noRotation();
        await checkForged(options);
        await log.commit("normal", { action: "rotation.resume" });
        return finishRotation(parts, options);
      }),
    status: () => gate.run(async () => (await findRotation(store, keys.rows))?.status),
  };
};

const noRotation = (): CryptoError =>
  new CryptoError("ERR_NOT_FOUND", "No rotation is under way", {
    context: { hint: "Begin one: lango security rotate" },
  });

/**
 * Seals again what is sealed under the data keys of the job, opens everything, destroys those data keys and ends the job. Each step
 * asks the rows what is left to do, so it may be repeated, and several processes may do it at once.
 */
const finishRotation = async (
  rotation: RotationContext,
  options: RotateOptions,
): Promise<RotationResult> => {
  const { context } = rotation;
  const job = await findRotation(context.store, context.keys.rows);
  const result = { resealed: 0, verified: 0, retired: [] as string[] };
  // Another process has ended it meanwhile.
  if (!job) return result;
  const total = await countAll(rotation);
  const thread = total < WORTH_A_THREAD ? noThread : await startRotationThread();
  const parts = { ...rotation, thread };
  // What this process has in memory opens the values also when nobody else could get it out of its row any more.
  const dataKeys = rotation.freshDataKeys();
  try {
    result.resealed = await resealAll(parts, job.status, options);
    reached("rotate:resealed");
    result.verified = await verifyAll({ ...parts, dataKeys }, total, options);
  } finally {
    dataKeys.close();
    await thread.close();
  }
  reached("rotate:verified");
  options.signal?.throwIfAborted();
  for (const id of job.status.dataKeys) {
    if (!(await retireDataKey(context, id))) {
      await checkNoOrphans(context.store);
      throw stillNeeded(id);
    }
    result.retired.push(id);
    reached("rotate:retired");
  }
  await endJob(rotation, job.row, result);
  reached("rotate:ended");
  return result;
};

const resealAll = async (
  parts: ResealContext,
  { dataKeys, total }: RotationStatus,
  { onProgress, signal }: RotateOptions,
): Promise<number> => {
  const { store } = parts.context;
  let left = 0;
  for (const id of dataKeys) left += await store.secrets.countSealedBy(id);
  let resealed = 0;
  const tell = (): void =>
    onProgress?.({ stage: "reseal", done: Math.max(0, total - left) + resealed, total });
  tell();
  const resealOne = async (id: string, batch: readonly VersionOfSecret[]): Promise<void> => {
    try {
      const count = await resealBatch(parts, id, batch, dataKeys);
      resealed += count;
    } catch (error) {
      if (!isCryptoError(error) || error.code !== "ERR_KEY_RETIRED") throw error;
      // Another process that has joined may have sealed all of them again, and destroyed the key.
      if ((await store.secrets.countSealedBy(id)) > 0) throw error;
    }
    reached("rotate:batch");
    tell();
  };

  for (const id of dataKeys) {
    const underWay: Promise<void>[] = [];
    /** In the order in which they are found, the rows under way are the first ones. */
    let rowsUnderWay = 0;
    try {
      for (;;) {
        signal?.throwIfAborted();
        // Read while the one before is being sealed.
        const batch = await store.secrets.listSealedBy(id, BATCH, rowsUnderWay);
        if (batch.length > 0) {
          rowsUnderWay += batch.length;
          const done = resealOne(id, batch).finally(() => {
            rowsUnderWay -= batch.length;
          });
          // Its error is for whoever waits for it, which may be later.
          done.catch(() => undefined);
          underWay.push(done);
        } else if (underWay.length === 0) break;
        if (underWay.length > 1 || batch.length === 0) await underWay.shift();
        await setImmediate();
      }
    } finally {
      await Promise.allSettled(underWay);
    }
  }
  return resealed;
};

const countAll = async ({ context: { store } }: RotationContext): Promise<number> => {
  let total = 0;
  for (const { id } of await store.dataKeys.list()) total += await store.secrets.countSealedBy(id);
  return total;
};

/** Every version was opened under another one: no row of ours names it. */
const stillNeeded = (id: string): CryptoError =>
  new CryptoError("ERR_INTEGRITY", `Rows that were not there before name data key ${id}`, {
    context: { hint: "Compare the database with the log: lango audit verify --rows" },
  });

const endJob = async (
  { context: { store, keys, log } }: RotationContext,
  job: JobRow,
  { retired }: RotationResult,
): Promise<void> => {
  await store.transaction("full", async (tx) => {
    const now = await tx.jobs.find(ROTATE);
    // Ended by another process.
    if (!now || !bytesEqual(now.mac, job.mac)) return;
    checkRow(keys.rows, "jobs", now);
    await tx.jobs.remove(ROTATE, now.mac);
    const detail = `${retired.length} data keys destroyed`;
    await log.appendIn(tx, { action: "rotation.end", detail, rows: [jobRemoved(ROTATE)] });
  });
};
