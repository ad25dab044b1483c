import { CryptoError, fromHex } from "@lango/crypto-core";
import type { Keyslots } from "@lango/envelope";
import type { JobRow, StoreReads, StoreTransaction, VaultRow } from "@lango/store";
import { removeAllIn } from "./approvals/permits.ts";
import { openAuditKey } from "./audit/audit-keys.ts";
import type { RowChange } from "./audit/entry.ts";
import { createAuditLog } from "./audit/log.ts";
import { changeOf, jobRemoved } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import { putResealed, type Resealed, resealedAuditKeys } from "./rekey-rows.ts";
import { checkRow, withMac } from "./rows.ts";
import { reached } from "./stages.ts";

// A new vault key, whenever the process dies: first the job says in one transaction what every row will be under the new
// key, and no holder of the old one writes any more; then the new keyslots file takes the place of the old one; then one
// transaction puts the rows in. Before the rename the job is given up, after it finished: each by whoever opens next, who
// has the key that this takes. Neither vault key is ever sealed by the other.

export const REKEY = "rekey";

/** What the job row holds. */
export interface RekeyPlan extends Resealed {
  /** The MAC of the new keyslots file, in hex. */
  readonly slotMac: string;
  readonly generation: number;
  readonly compromised: boolean;
  /** For the log. */
  readonly detail: string;
}

/** @throws {@link CryptoError} `ERR_INTEGRITY` for a job that lango did not write. */
export const findPlan = async (
  { keys }: Pick<VaultContext, "keys">,
  reads: Pick<StoreReads, "jobs">,
): Promise<{ readonly job: JobRow; readonly plan: RekeyPlan } | undefined> => {
  const job = await reads.jobs.find(REKEY);
  if (!job) return undefined;
  checkRow(keys.rows, "jobs", job);
  return { job, plan: JSON.parse(job.content) as RekeyPlan };
};

/** The row of a new job; one that an earlier process left was settled before. */
export const planJob = ({ keys, clock }: VaultContext, plan: RekeyPlan): JobRow => {
  const now = clock();
  const times = { startedAt: now, updatedAt: now };
  return withMac(keys.rows, "jobs", { kind: REKEY, content: JSON.stringify(plan), ...times });
};

/** Bounds the size of an entry of the log. */
const MAX_ROWS = 2000;

export type FinishContext = Pick<VaultContext, "store" | "vaultId" | "keys" | "clock"> & {
  readonly source: string;
};

/**
 * Puts the rows in force that fit the keyslots file in place. Call it under the lock, with the keys of that file.
 *
 * @returns False when there is no such job: another process was faster, or the file is another one.
 */
export const finishRekey = async (context: FinishContext, keyslots: Keyslots): Promise<boolean> => {
  const { store } = context;
  const known = await findPlan(context, store);
  if (known?.plan.slotMac !== keyslots.mac) return false;
  await store.transaction("full", (tx) => finishIn(tx, context, known.job, known.plan));
  reached("rekey:done");
  return true;
};

/** The second half of the work, in the transaction of the caller. */
export const finishIn = async (
  tx: StoreTransaction,
  context: FinishContext,
  job: JobRow | undefined,
  plan: RekeyPlan,
): Promise<void> => {
  const { keys } = context;
  const before = await tx.vault.get();
  if (!before) throw new CryptoError("ERR_INTEGRITY", "The database has lost its vault row");
  checkRow(keys.rows, "vault", before);
  const sealedAuditKeys = resealedAuditKeys(plan);
  const vault = withMac(keys.rows, "vault", {
    ...before,
    ...sealedAuditKeys,
    state: "ready",
    slotGeneration: plan.generation,
    slotMac: fromHex(plan.slotMac) ?? new Uint8Array(),
    pendingGeneration: null,
    pendingMac: null,
  });
  await tx.vault.update(vault, before.mac);
  const rows: RowChange[] = [changeOf("vault", vault), ...(await putResealed(tx, context, plan))];
  if (plan.compromised) {
    // Their arguments are MACed with a key that is gone.
    const permits = [...(await tx.permits.list("grant")), ...(await tx.permits.list("handle"))];
    rows.push(...(await removeAllIn(tx, permits)));
  }
  if (job) {
    await tx.jobs.remove(REKEY, job.mac);
    rows.push(jobRemoved(REKEY));
  }
  await tx.audit.setEpoch(plan.auditEpoch);
  const log = createAuditLog({ ...context, auditKey: openAuditKey(context, sealedAuditKeys) });
  const { generation, detail } = plan;
  const entry = { action: "vault.rekey", target: `generation ${generation}`, detail };
  const pages: RowChange[][] = [];
  for (let start = 0; start < rows.length; start += MAX_ROWS) {
    pages.push(rows.slice(start, start + MAX_ROWS));
  }
  await log.appendIn(tx, ...pages.map((page) => ({ ...entry, rows: page })));
  reached("rekey:rows");
};

/**
 * Forgets a change of the vault key whose file never took its place. Call it under the lock, with the keys of the file
 * in place.
 */
export const giveUpRekey = async (
  context: VaultContext,
  row: VaultRow,
  keyslots: Keyslots,
): Promise<void> => {
  const { store, log } = context;
  const known = await findPlan(context, store);
  // Also beside a file that is older than both: then that is what is wrong, and not the vault key.
  if (!known || known.plan.slotMac === keyslots.mac) return;
  await store.transaction("full", async (tx) => {
    await tx.jobs.remove(REKEY, known.job.mac);
    await tx.audit.setEpoch(row.auditEpoch);
    const target = `generation ${known.plan.generation}`;
    await log.appendIn(tx, {
      ...{ action: "vault.rekey", target, outcome: "failure" },
      detail: "interrupted before its keyslots file was in place: given up",
      rows: [jobRemoved(REKEY)],
    });
  });
  reached("rekey:given-up");
};
