import { CryptoError, toHex } from "@lango/crypto-core";
import { jcs, serializeKeyslots } from "@lango/envelope";
import type { JobRow, Store, StoreTransaction } from "@lango/store";
import { verifyChain } from "./audit/verify.ts";
import { auditFailure } from "./failures.ts";
import { replaceFile } from "./files.ts";
import { homePaths, type KeyslotsFile } from "./keyslots-file.ts";
import {
  alreadyIn,
  checkOurs,
  emptyTarget,
  type MoveTarget,
  openMoveTarget,
  setFilesAside,
  setLeftoverAside,
} from "./move-target.ts";
import { retireDataKeys } from "./older-rows.ts";
import { type OpenedContext, openContext } from "./open-context.ts";
import { MOVE_JOB, movedAway } from "./place.ts";
import { checkRow, isSound, withMac } from "./rows.ts";
import { settle } from "./slot-file-state.ts";
import { checkPin } from "./slot-row-state.ts";
import { reached } from "./stages.ts";
import { copyStore } from "./store-copy.ts";
import type { MovedVault, MoveVaultOptions } from "./types.ts";

const ACTION = "store.migrate";

/**
 * Moves a vault between files of the home and a database, or from one database to another: every row is copied and
 * compared, the chain is verified with its MACs, and every data key becomes decrypt-only. Others can read neither place nor
 * write to it meanwhile (`ERR_BUSY`); whoever has the old one open afterwards gets `ERR_CONFLICT` at the next write.
 *
 * Whenever the process dies, the vault is whole in the old place and the next call begins anew, or it is whole in the new
 * place, the old one says so, and the next call ends what is left. The rows of the old place stay, and so do its slots.
 *
 * @throws {@link CryptoError} as `openVault`; `ERR_CONFLICT` when the target holds another vault, or one that did not come from
 *   here; `ERR_INTEGRITY` when the log of the vault does not verify, or a row was not the same afterwards.
 */
export const moveVault = async (options: MoveVaultOptions): Promise<MovedVault> => {
  const opened = await openContext(options);
  try {
    return await move(opened, options);
  } catch (error) {
    await auditFailure(opened.context.log, { action: ACTION }, error);
    throw error;
  } finally {
    await opened.discard();
  }
};

const move = async (opened: OpenedContext, options: MoveVaultOptions): Promise<MovedVault> => {
  const { context, paths } = opened;
  if (options.to === "home" && !paths.slotRow) throw alreadyIn(paths.database);
  const target = await openMoveTarget(options, context);
  const to = target.store;
  try {
    if (to.location === context.store.location) {
      // Unless an earlier call died when it had all but put the files aside.
      const setAside = await setLeftoverAside(homePaths(options.home), context);
      if (setAside.length === 0) throw alreadyIn(to.location);
      return { from: to.location, to: to.location, rows: 0, retiredDataKeys: 0, setAside };
    }
    return await context.store.withLock(() =>
      to.withLock(async () => {
        const movedTo = await context.store.audit.movedTo();
        if (movedTo !== undefined && movedTo !== to.location) {
          throw movedAway(paths.database, movedTo);
        }
        const done =
          movedTo === undefined
            ? await transfer(opened, target, options)
            : { rows: 0, retiredDataKeys: 0 };
        reached("move:ended");
        const ended = await endJob(opened, to);
        if (movedTo !== undefined && !ended) await checkSameVaultIn(opened, to);
        reached("move:live");
        await options.switchOver();
        reached("move:switched");
        const setAside = paths.slotRow ? [] : await setFilesAside(paths, context.store);
        return { from: context.store.location, to: to.location, ...done, setAside };
      }),
    );
  } finally {
    await to.close();
  }
};

/** Fills the target while one transaction keeps everybody out of the source, whose last act it is to end the log there. */
const transfer = async (
  opened: OpenedContext,
  target: MoveTarget,
  options: MoveVaultOptions,
): Promise<{ readonly rows: number; readonly retiredDataKeys: number }> => {
  const { context, paths, vaultKey } = opened;
  const from = context.store;
  const to = target.store;
  const slots = await settle(context, paths, vaultKey);
  await beginJob(opened, target);
  reached("move:begun");
  try {
    return await from.transaction("full", async (source) => {
      await context.log.appendIn(source, { action: ACTION, target: to.location });
      const rows = await copyStore(source, to, { ...options, name: "move" });
      const retiredDataKeys = await heard(source, () => finish(opened, target, slots));
      reached("move:copied");
      options.signal?.throwIfAborted();
      await source.audit.endHere(to.location);
      reached("move:ending");
      return { rows, retiredDataKeys };
    });
  } catch (error) {
    // If the commit went through and only its answer was lost, the target is all there is.
    if ((await from.audit.movedTo().catch(() => to.location)) === undefined)
      await emptyTarget(target);
    throw error;
  }
};

/** A server ends a transaction from which it hears nothing for a minute, and a long log takes longer to verify. */
const heard = async <T>(tx: StoreTransaction, run: () => Promise<T>): Promise<T> => {
  const ask = (): void => void tx.counts().catch(() => undefined);
  const beat = setInterval(ask, 10_000);
  try {
    return await run();
  } finally {
    clearInterval(beat);
  }
};

const beginJob = async ({ context, row }: OpenedContext, target: MoveTarget): Promise<void> => {
  const { store: to } = target;
  const at = context.clock();
  const job = withMac(context.keys.rows, "jobs", {
    kind: MOVE_JOB,
    content: jcs({ vaultId: row.vaultId, from: context.store.location }),
    startedAt: at,
    updatedAt: at,
  });
  await to.transaction("full", async (tx) => {
    await checkOurs({ reads: tx, target, keys: context.keys, vaultId: context.vaultId });
    await tx.reset();
    await tx.jobs.put(job);
  });
};

/** Makes a vault of the rows, and proves that it is one. It stays closed to everybody by its job. */
const finish = async (
  { context, paths, auditKey }: OpenedContext,
  target: MoveTarget,
  { keyslots }: KeyslotsFile,
): Promise<number> => {
  const to = target.store;
  const document = serializeKeyslots(keyslots);
  const retired = await to.transaction("full", async (tx) => {
    const rows = await retireDataKeys(context, tx);
    if (target.paths.slotRow) {
      await tx.keyslots.insert({ generation: keyslots.generation, document });
    }
    const detail = `from ${context.store.location}`;
    await context.log.appendIn(tx, { action: ACTION, target: to.location, detail, rows });
    return rows.length;
  });
  const vaultId = context.vaultId;
  const report = await verifyChain({ store: to, paths, vaultId, auditKey });
  const [fault] = report.faults;
  if (fault) {
    throw new CryptoError("ERR_INTEGRITY", `The audit log does not verify: ${fault.problem}`, {
      context: { hint: "Nothing was changed; see: lango audit verify" },
    });
  }
  if (!target.paths.slotRow) {
    await replaceFile(target.paths.keyslotsBackup, document, "move-backup");
    await replaceFile(target.paths.keyslots, document, "move-slots");
  } else {
    await checkPin(context, target.paths, keyslots);
  }
  return retired;
};

/** Opens the target to everybody. @returns Whether it was closed. */
const endJob = async ({ context }: OpenedContext, to: Store): Promise<boolean> => {
  const job: JobRow | undefined = await to.jobs.find(MOVE_JOB);
  if (!job) return false;
  if (!isSound(context.keys.rows, "jobs", job)) {
    throw new CryptoError("ERR_INTEGRITY", `${to.location} was changed by somebody else`);
  }
  await to.transaction("full", (tx) => tx.jobs.remove(MOVE_JOB, job.mac));
  return true;
};

/** An earlier call died after it had opened the target. */
const checkSameVaultIn = async ({ context, paths }: OpenedContext, to: Store): Promise<void> => {
  const row = await to.vault.get();
  if (row?.vaultId === toHex(context.vaultId)) {
    checkRow(context.keys.rows, "vault", row);
    return;
  }
  throw new CryptoError(
    "ERR_CONFLICT",
    `${paths.database} says that the vault was moved to ${to.location}, which does not have it`,
    {
      context: { hint: "Restore that database from a backup" },
    },
  );
};
