import { bytesEqual, CryptoError, toHex } from "@lango/crypto-core";
import { buildKeyslots, type Keyslots, parseKeyslots, verifyKeyslots } from "@lango/envelope";
import type { StoreReads } from "@lango/store";
import { verifyChain } from "../audit/verify.ts";
import type { RestoredVault, RestoreVaultOptions } from "../backup-types.ts";
import { distrustOlderRows } from "../older-rows.ts";
import { type OpenedContext, openContext } from "../open-context.ts";
import { slotSummary } from "../put-slots.ts";
import { settle, writeKeyslots } from "../slot-file-state.ts";
import { reached } from "../stages.ts";
import { type LaterState, readLaterState, returned } from "./replaced-home.ts";
import { manifestMac } from "./snapshot.ts";

/**
 * Takes the files of a backup into use, in a folder of their own: checks all of them, then makes of them a vault that knows
 * that it is from earlier. Its slots have a generation above all that is known, its data keys seal nothing new, its grants and
 * handles are gone, its paired devices wait to be confirmed, and its log says that it was restored, which is how the rollback
 * that a restore is gets accepted.
 *
 * @throws {@link CryptoError}
 *   - `ERR_LOCKED`, `ERR_WRONG_PASSPHRASE`: nothing opens the slots of the backup.
 *   - `ERR_INTEGRITY`: the manifest was not made by this vault, or database, rows or log are not as the vault wrote them.
 *   - `ERR_CONFLICT`: files of several vaults, a `replaces` that holds another vault, or a database of a newer lango.
 *   - as `openVault`.
 */
export const restoreVault = async (options: RestoreVaultOptions): Promise<RestoredVault> => {
  const { home, unlock, clock, busyTimeoutMs, replaces } = options;
  const opened = await openContext({ home, unlock, clock, busyTimeoutMs });
  try {
    const { store } = opened.context;
    reached("restore:opened");
    const { vaultId } = opened.file.keyslots;
    const later = replaces === undefined ? undefined : await readLaterState(replaces, vaultId);
    checkManifest(opened, options);
    checkSameAsReplaced(opened.file.keyslots, later);
    const [damage] = await store.integrityCheck();
    if (damage !== undefined) throw notAsWritten(`lango.db is damaged: ${damage}`);
    return await store.withLock(() => restore(opened, options, later));
  } finally {
    await opened.discard();
  }
};

const checkManifest = (
  { vaultKey, context }: OpenedContext,
  { manifest, mac }: RestoreVaultOptions,
): void => {
  if (bytesEqual(manifestMac(vaultKey, context.vaultId, manifest), mac)) return;
  throw notAsWritten("its manifest was not written by this vault");
};

const checkSameAsReplaced = ({ vaultId }: Keyslots, later: LaterState | undefined): void => {
  if (later === undefined || later.vaultId === vaultId) return;
  throw new CryptoError(
    "ERR_CONFLICT",
    `The backup is of vault ${vaultId}, the home holds vault ${later.vaultId}`,
    { context: { hint: "Restore it into another folder: lango backup restore FILE --home DIR" } },
  );
};

const notAsWritten = (found: string): CryptoError =>
  new CryptoError("ERR_INTEGRITY", `The backup cannot be trusted: ${found}`, {
    context: { hint: "Nothing was changed; use another backup" },
  });

const restore = async (
  { context, paths, vaultKey, auditKey }: OpenedContext,
  { origin, dryRun = false }: RestoreVaultOptions,
  later: LaterState | undefined,
): Promise<RestoredVault> => {
  const { store, vaultId } = context;
  const { keyslots } = await settle(context, paths, vaultKey);
  const report = await verifyChain({ store, paths, vaultId, auditKey, rows: true });
  const [fault] = report.faults;
  if (fault) throw notAsWritten(fault.problem);
  reached("restore:verified");

  const generation = Math.max(keyslots.generation, later?.generation ?? 0) + 1;
  const returnedSlots = later && returned(keyslots, later)?.map(slotSummary);
  const { secrets, keys } = await store.counts();
  const known = {
    vaultId: keyslots.vaultId,
    generation: { backup: keyslots.generation, now: generation },
    databaseEncrypted: store.cipher !== undefined,
    secretCount: secrets,
    keyCount: keys,
    auditRows: report.rows,
    returnedSlots,
  };
  if (dryRun) return { ...known, ...(await countDistrusted(store)) };

  const { vaultId: id } = keyslots;
  const next = buildKeyslots(vaultKey, { ...keyslots, generation });
  let distrusted = { retiredDataKeys: 0, droppedPermits: 0, suspendedCompanions: 0 };
  await writeKeyslots(
    context,
    paths,
    next,
    async (written) => verifyKeyslots(vaultKey, parseKeyslots(written)),
    {
      action: "backup.restore",
      target: id,
      detail: [
        `${origin}; generation ${keyslots.generation} became ${generation}`,
        ...replacedLines(later),
        ...(returnedSlots ?? []).map((slot) => `slot ${slot.id} (${slot.kind}) is in force again`),
      ].join("; "),
    },
    async (tx) => {
      const { dataKeys, permits, companions } = await distrustOlderRows(context, tx);
      distrusted = {
        retiredDataKeys: dataKeys.length,
        droppedPermits: permits.length,
        suspendedCompanions: companions.length,
      };
      return [...dataKeys, ...companions, ...permits];
    },
  );
  return { ...known, ...distrusted };
};

const replacedLines = (later: LaterState | undefined): string[] => {
  if (!later) return [];
  const { generation, head } = later;
  const log = head && `, row ${head.seq} of its log ${toHex(head.hash)}`;
  return [`in the place of generation ${generation}${log ?? ""}`];
};

const countDistrusted = async (store: StoreReads) => {
  const dataKeys = await store.dataKeys.list();
  const companions = await store.companions.list();
  const permits = [await store.permits.list("grant"), await store.permits.list("handle")].flat();
  return {
    retiredDataKeys: dataKeys.filter(({ state }) => state === "active").length,
    suspendedCompanions: companions.filter(({ state }) => state === "active").length,
    droppedPermits: permits.length,
  };
};
