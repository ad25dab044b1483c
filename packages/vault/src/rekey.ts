import { createSecretKey } from "node:crypto";
import {
  type Bytes,
  bytesEqual,
  CryptoError,
  fromHex,
  randomBytesFresh,
  zero,
} from "@lango/crypto-core";
import {
  buildKeyslots,
  deriveVaultKeys,
  type InheritedKeys,
  type Keyslots,
  sealInherited,
  serializeKeyslots,
  type VaultKeys,
} from "@lango/envelope";
import type { VaultRow } from "@lango/store";
import { changeOf } from "./audit/row-hashes.ts";
import { checkVouched } from "./audit/row-witness.ts";
import type { VaultContext } from "./context.ts";
import { auditFailure } from "./failures.ts";
import { readSmallFile, replaceFile } from "./files.ts";
import { type HomePaths, readKeyslots } from "./keyslots-file.ts";
import { writePin } from "./pins.ts";
import { slotSummary } from "./put-slots.ts";
import { finishIn, finishRekey, giveUpRekey, planJob } from "./rekey-job.ts";
import { type Resealed, resealRows } from "./rekey-rows.ts";
import { checkNewSlots, makeSlots, planSlots, proveSlots } from "./rekey-slots.ts";
import type { RekeyOptions, RekeyResult } from "./rekey-types.ts";
import { withMac } from "./rows.ts";
import { settle, vaultRow } from "./slot-file-state.ts";
import { reached } from "./stages.ts";
import type { AuditReport } from "./types.ts";

export interface RekeyContext {
  readonly context: VaultContext;
  readonly paths: HomePaths;
  readonly vaultKey: Bytes;
  /** The slot that opened the vault, and by which source. */
  readonly openedBy: string;
  readonly source: string;
  /** Compares rows and log. */
  readonly verify: () => Promise<AuditReport>;
}

/** What {@link rekeyVault} gives to whoever opens the vault again. */
export interface Rekeyed extends Omit<RekeyResult, "vault"> {
  /** The caller owns it. */
  readonly vaultKey: Bytes;
  /** The slot in the place of the one that opened the vault; the first one when that is gone. */
  readonly openedBy: string;
}

const ACTION = "vault.rekey";

/** Makes a new vault key and puts it in the place of the old one. Afterwards the old one opens nothing here. */
export const rekeyVault = async (options: RekeyContext, given: RekeyOptions): Promise<Rekeyed> => {
  const { context } = options;
  const { compromised = false, acceptFaults = false } = given;
  try {
    if (compromised) await checkVouched(await options.verify(), context.log, ACTION, acceptFaults);
    return await context.store.withLock(() => underLock(options, given));
  } catch (error) {
    await auditFailure(context.log, { action: ACTION }, error);
    throw error;
  }
};

const underLock = async (options: RekeyContext, given: RekeyOptions): Promise<Rekeyed> => {
  const { context, paths, vaultKey: oldKey, openedBy } = options;
  const { vaultId } = context;
  const { keyslots: before } = await settle(context, paths, oldKey);
  const plan = planSlots(before, given);
  await checkReady(options, before, given);
  await proveSlots(before, plan.made, oldKey);
  const vaultKey = randomBytesFresh(32);
  let keys: VaultKeys | undefined;
  try {
    const inherited = inheritedBy(vaultKey, context, before, given.compromised ?? false);
    keys = deriveVaultKeys(vaultKey, vaultId, inherited);
    const after = buildKeyslots(vaultKey, {
      vaultId: before.vaultId,
      generation: before.generation + 1,
      slots: await makeSlots(vaultKey, vaultId, plan.made),
      inherited,
    });
    // Before anything is written: it derives keys and asks providers, and others wait from then on.
    await checkNewSlots(after, serializeKeyslots(after), plan.made, vaultKey);
    reached("rekey:made");
    const detail = `${after.slots.length} slots, ${plan.dropped.length} dropped`;
    const change = { after, keys, detail, compromised: given.compromised ?? false };
    const count = await putInForce(options, change);
    const place = plan.made.findIndex(({ old }) => old?.id === openedBy);
    return {
      vaultKey,
      openedBy: after.slots[Math.max(0, place)]?.id ?? "",
      generation: after.generation,
      slots: after.slots.map(slotSummary),
      dropped: plan.dropped.map(slotSummary),
      keys: count,
      notRevoked: NOT_REVOKED,
    };
  } catch (error) {
    zero(vaultKey);
    throw error;
  } finally {
    keys?.destroy();
  }
};

const NOT_REVOKED: readonly string[] = [
  "Copies of lango.db and keyslots.json from before still open with the credentials of that time.",
  "The data keys and local keys are the same, only sealed anew: whoever has had the old vault key may have them. After a compromise: lango security rotate --compromised",
];

/** What would be lost by going on. */
const checkReady = async (
  { paths }: RekeyContext,
  { inherited }: Keyslots,
  { compromised = false }: RekeyOptions,
): Promise<void> => {
  if ((await readSmallFile(paths.spool, 0)) !== undefined) {
    // Its lines are MACed with the audit key of now; the next opening folds them into the log.
    throw new CryptoError("ERR_BUSY", `${paths.spool} waits to be put into the log`);
  }
  if (compromised && inherited?.formerRows !== undefined) {
    throw new CryptoError("ERR_CONFLICT", "The rotation after the last compromise is not done", {
      context: { hint: "Finish it: lango security rotate --resume" },
    });
  }
};

/** Keys that stay in force, so that no row and no page has to be written anew. */
const inheritedBy = (
  vaultKey: Bytes,
  { keys, vaultId, store }: VaultContext,
  { inherited }: Keyslots,
  compromised: boolean,
): InheritedKeys => {
  const { current } = keys.rows;
  // This process may still take rows under a former key that has ended.
  const former = inherited?.formerRows === undefined ? undefined : keys.rows.former;
  const isFormer = inherited?.formerDatabase !== undefined;
  const bytes = store.cipher && [keys.database(), isFormer ? keys.formerDatabase() : undefined];
  const [database, formerDatabase] = (bytes ?? []).map((key) => key && createSecretKey(key));
  const fresh = deriveVaultKeys(vaultKey, vaultId);
  try {
    return sealInherited(
      fresh.wrap,
      vaultId,
      compromised
        ? { formerRows: current, formerDatabase: database }
        : {
            ...{ rows: current, formerRows: former, approvals: keys.approvals },
            ...{ database, formerDatabase },
          },
    );
  } finally {
    fresh.destroy();
    zero(...(bytes ?? []));
  }
};

interface Change {
  readonly after: Keyslots;
  /** Of the new vault key. */
  readonly keys: VaultKeys;
  readonly detail: string;
  readonly compromised: boolean;
}

/** @returns How many data keys and versions of local keys were sealed anew. */
const putInForce = async (
  { context, paths, source }: RekeyContext,
  { after, keys, detail, compromised }: Change,
): Promise<number> => {
  const { store, vaultId, log, clock } = context;
  const row = await vaultRow(store);
  const pending: VaultRow = withMac(context.keys.rows, "vault", {
    ...row,
    pendingGeneration: after.generation,
    pendingMac: fromHex(after.mac) ?? new Uint8Array(),
  });
  const { generation, mac: slotMac } = after;
  const bytes = serializeKeyslots(after);
  const finish = { store, vaultId, keys, clock, source };
  if (paths.slotRow) {
    // The slots are a row beside the others: one transaction does all of it, and there is nothing to finish.
    const count = await store.transaction("full", async (tx) => {
      await tx.audit.lockHead();
      const resealed = await resealRows(tx, context, { keys, vaultId }, row);
      const old = await tx.keyslots.get();
      await tx.keyslots.replace({ generation, document: bytes }, old?.generation ?? 0);
      const plan = { ...resealed, slotMac, generation, compromised, detail };
      await finishIn(tx, finish, undefined, plan);
      return countOf(resealed);
    });
    await writePin(paths.pins, keys.rows, after);
    return count;
  }
  const count = await store.transaction("full", async (tx) => {
    await tx.vault.update(pending, row.mac);
    // Nobody adds a key while the head is locked, and nobody who has the old vault key once it is of the next epoch.
    await tx.audit.lockHead();
    const resealed = await resealRows(tx, context, { keys, vaultId }, row);
    const plan = { ...resealed, slotMac, generation, compromised, detail };
    const job = planJob(context, plan);
    await tx.jobs.put(job);
    await log.appendIn(tx, {
      ...{ action: ACTION, target: `generation ${generation}`, detail: "begun" },
      rows: [changeOf("vault", pending), changeOf("jobs", job)],
    });
    await tx.audit.setEpoch(resealed.auditEpoch);
    return countOf(resealed);
  });
  reached("rekey:planned");
  try {
    await replaceFile(paths.keyslots, bytes, "rekey", async (written) => {
      if (bytesEqual(written, bytes)) return;
      throw new CryptoError("ERR_INTERNAL", `${paths.keyslots} was not written as it should be`);
    });
  } catch (error) {
    // Unless the new file is in place all the same: then the next opening finishes.
    await giveUp(context, paths).catch(() => undefined);
    throw error;
  }
  await finishRekey(finish, after);
  await replaceFile(paths.keyslotsBackup, bytes, "rekey-backup");
  return count;
};

const countOf = ({ dataKeys, versions }: Resealed): number =>
  Object.keys(dataKeys).length + Object.keys(versions).length;

const giveUp = async (context: VaultContext, paths: HomePaths): Promise<void> => {
  const file = await readKeyslots(paths);
  if (file) await giveUpRekey(context, await vaultRow(context.store), file.keyslots);
};
