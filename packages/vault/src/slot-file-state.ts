import { rm } from "node:fs/promises";
import { bytesEqual, CryptoError, fromHex, isCryptoError } from "@lango/crypto-core";
import { type Keyslots, serializeKeyslots, verifyKeyslots } from "@lango/envelope";
import type { StoreReads, StoreTransaction, VaultRow } from "@lango/store";
import type { RowChange } from "./audit/entry.ts";
import type { NewEntry } from "./audit/log.ts";
import { changeOf } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import { readSmallFile, replaceFile, temporaryOf } from "./files.ts";
import { type HomePaths, type KeyslotsFile, readKeyslots } from "./keyslots-file.ts";
import { giveUpRekey } from "./rekey-job.ts";
import { checkRow, withMac } from "./rows.ts";
import { checkPin, isNoted, writeSlotRow } from "./slot-row-state.ts";
import { reached } from "./stages.ts";

// The keyslots file and the vault row say the same: which generation of the slots is in force. A file that is older than
// the row was brought back (with it a passphrase that was changed); a row that is older, with an old database. Slots that
// are a row themselves go the same way through here; slot-row-state.ts has what is different.

/** How a file stands to the vault row. `pending`: it was renamed into place, but the row does not know yet. */
export type Standing = "current" | "pending" | "older" | "newer";

export const standing = (row: VaultRow, { generation, mac }: Keyslots): Standing => {
  const fileMac = fromHex(mac) ?? new Uint8Array();
  const isPending = row.pendingMac !== null && bytesEqual(fileMac, row.pendingMac);
  if (generation === row.pendingGeneration && isPending) return "pending";
  if (generation === row.slotGeneration) {
    // The same number and another content: a change that was given up, or another branch of an old copy.
    return bytesEqual(fileMac, row.slotMac) ? "current" : "older";
  }
  return generation < row.slotGeneration ? "older" : "newer";
};

export const vaultRow = async (store: Pick<StoreReads, "vault">): Promise<VaultRow> => {
  const row = await store.vault.get();
  if (row) return row;
  throw new CryptoError("ERR_INTEGRITY", "The database has lost its vault row", {
    context: { hint: "Restore lango.db from a backup of this vault" },
  });
};

/**
 * Brings file, row and backup together when an earlier process died between them; refuses a file or a database from
 * earlier. Call it under the vault's lock: nobody else then is between them.
 *
 * @throws {@link CryptoError} `ERR_KEYSLOTS_ROLLED_BACK`, `ERR_STORE_ROLLED_BACK`, `ERR_INTEGRITY`.
 */
export const settle = async (
  context: VaultContext,
  paths: HomePaths,
  vaultKey: Uint8Array,
): Promise<KeyslotsFile> => {
  const file = await readKeyslots(paths);
  if (!file) throw new CryptoError("ERR_CONFLICT", `${paths.keyslots} is gone`);
  const row = await vaultRow(context.store);
  if (row.pendingMac !== null) await giveUpRekey(context, row, file.keyslots);
  await context.log.checkCurrent(context.store);
  verifyKeyslots(vaultKey, file.keyslots);
  checkRow(context.keys.rows, "vault", row);
  const found = standing(row, file.keyslots);
  if (found === "older" || found === "newer") throw rolledBack(found, row, file.keyslots, paths);
  if (paths.slotRow) {
    await checkPin(context, paths, file.keyslots);
    return file;
  }
  // With slots the database is no abandoned one any more.
  await rm(paths.onboarding, { force: true });
  if (!isFinal(row)) await commitSlots(context, row, file.keyslots);
  await rm(temporaryOf(paths.keyslots), { force: true });
  if (!(await isBackedUp(paths, file))) {
    await replaceFile(paths.keyslotsBackup, file.bytes, "slots-backup");
  }
  return file;
};

/** Whether file, row and backup agree and nothing is under way, so that opening needs no lock. */
export const isSettled = async (
  row: VaultRow,
  paths: HomePaths,
  file: KeyslotsFile,
): Promise<boolean> =>
  isFinal(row) &&
  standing(row, file.keyslots) === "current" &&
  (await (paths.slotRow ? isNoted(paths, file) : isBackedUp(paths, file)));

export const isFinal = (row: VaultRow): boolean => row.state === "ready" && row.pendingMac === null;

/**
 * Puts new slots in force. Whenever the process dies, either the old file or the new one is in place, and the row says
 * that this one is right.
 *
 * @param check - Sees the new file as it is on the disk before it takes the place of the old one.
 * @param entry - What the log says of the change.
 * @param also - Other rows that change with the announcement.
 */
export const writeKeyslots = async (
  context: VaultContext,
  paths: HomePaths,
  next: Keyslots,
  check: (written: Uint8Array) => Promise<void>,
  entry: NewEntry,
  also: (tx: StoreTransaction) => Promise<RowChange[]> = async () => [],
): Promise<void> => {
  const { store, keys, log } = context;
  const row = await vaultRow(store);
  checkRow(keys.rows, "vault", row);
  if (paths.slotRow) return writeSlotRow(context, paths, row, next, check, entry, also);
  const pending = withMac(keys.rows, "vault", {
    ...row,
    pendingGeneration: next.generation,
    pendingMac: fromHex(next.mac) ?? new Uint8Array(),
  });
  await store.transaction("full", async (tx) => {
    await tx.vault.update(pending, row.mac);
    const rows = [changeOf("vault", pending), ...(await also(tx))];
    await log.appendIn(tx, { ...entry, rows });
  });
  reached("slots:pending");
  const bytes = serializeKeyslots(next);
  await replaceFile(paths.keyslots, bytes, "slots", check);
  await commitSlots(context, pending, next);
  reached("slots:current");
  await replaceFile(paths.keyslotsBackup, bytes, "slots-backup");
};

/** Makes the slots of the file in place those that the row knows; a change that was given up is forgotten. */
const commitSlots = async (
  { store, keys, log }: VaultContext,
  before: VaultRow,
  { generation, mac }: Keyslots,
): Promise<void> => {
  const row = withMac(keys.rows, "vault", {
    ...before,
    state: "ready",
    slotGeneration: generation,
    slotMac: fromHex(mac) ?? new Uint8Array(),
    pendingGeneration: null,
    pendingMac: null,
  });
  await store.transaction("full", async (tx) => {
    await tx.vault.update(row, before.mac);
    const target = `generation ${generation}`;
    await log.appendIn(tx, { action: "slots.commit", target, rows: [changeOf("vault", row)] });
  });
};

/** The backup always has the same slots as the file, so that no old passphrase lives on in it. */
const isBackedUp = async (paths: HomePaths, { bytes }: KeyslotsFile): Promise<boolean> => {
  const backup = await readBackup(paths);
  return backup !== undefined && bytesEqual(backup, bytes);
};

const readBackup = async (paths: HomePaths): Promise<Uint8Array | undefined> => {
  try {
    return await readSmallFile(paths.keyslotsBackup);
  } catch (error) {
    // Open to others: written anew with mode 0600.
    if (isCryptoError(error) && error.code === "ERR_CONFIG") return undefined;
    throw error;
  }
};

/** @param hint - Default: what helps while both are of one vault key. */
export const rolledBack = (
  found: "older" | "newer",
  row: VaultRow,
  { generation }: Keyslots,
  paths: HomePaths,
  hint = "Restore both files from one backup, or accept the older one: lango doctor --fix --accept-rollback",
): CryptoError => {
  return found === "older"
    ? new CryptoError(
        "ERR_KEYSLOTS_ROLLED_BACK",
        `${paths.keyslots} is generation ${generation}, an older one: the vault is at ${row.slotGeneration}`,
        { context: { hint } },
      )
    : new CryptoError(
        "ERR_STORE_ROLLED_BACK",
        `${paths.database} is an older one: it knows slot generation ${row.slotGeneration}, keyslots.json is ${generation}`,
        { context: { hint } },
      );
};
