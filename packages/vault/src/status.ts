import { CryptoError } from "@lango/crypto-core";
import type { Keyslots, RowsKeys } from "@lango/envelope";
import type { Store, StoreReads, VaultRow } from "@lango/store";
import { stateOf } from "./database-encryption.ts";
import { type HomePaths, readKeyslots } from "./keyslots-file.ts";
import { isBefore, readPin } from "./pins.ts";
import { slotSummary } from "./put-slots.ts";
import { groupDataKeys, rootedIn } from "./rooted-in.ts";
import { findRotation } from "./rotation-job.ts";
import { checkRow } from "./rows.ts";
import { isFinal, standing, vaultRow } from "./slot-file-state.ts";
import type { LockedStatus, VaultStatus } from "./types.ts";

/** What a vault shows with and without its key, at the same cost for any number of secrets. */
export const readStatus = async (
  store: StoreReads & Pick<Store, "cipher">,
  paths: HomePaths,
  /** Of an open vault, whose rows must pass their MACs. */
  rowsKeys: RowsKeys | undefined,
): Promise<VaultStatus> => {
  const file = await readKeyslots(paths);
  if (!file) throw new CryptoError("ERR_CONFLICT", `${paths.keyslots} is gone`);
  const { keyslots } = file;
  const row = await vaultRow(store);
  const counts = await store.counts();
  const dataKeyRows = await store.dataKeys.list();
  if (rowsKeys) {
    checkRow(rowsKeys, "vault", row);
    for (const dataKey of dataKeyRows) checkRow(rowsKeys, "data_keys", dataKey);
  }
  const slots = keyslots.slots.map(slotSummary);
  const dataKeys = groupDataKeys(dataKeyRows);
  const degradedDataKeys = dataKeys.reduce((sum, { degraded }) => sum + degraded, 0);
  return {
    id: row.vaultId,
    location: paths.database,
    locked: rowsKeys === undefined,
    database: stateOf(store),
    createdAt: row.createdAt,
    secretCount: counts.secrets,
    keyCount: counts.keys,
    slots,
    slotGeneration: row.slotGeneration,
    renewing: keyslots.inherited?.formerRows !== undefined,
    slotFile: await slotFile(paths, row, keyslots),
    degraded: degradedDataKeys > 0,
    degradedDataKeys,
    dataKeys,
    rootedIn: rootedIn(slots, dataKeys),
    rotation: (await findRotation(store, rowsKeys))?.status ?? null,
  };
};

/** What a vault shows whose database is encrypted, without its key. */
export const readLockedStatus = async (paths: HomePaths): Promise<LockedStatus> => {
  const file = await readKeyslots(paths);
  if (!file) throw new CryptoError("ERR_CONFLICT", `${paths.keyslots} is gone`);
  const { vaultId: id, generation, slots, inherited } = file.keyslots;
  return {
    ...{ id, location: paths.database, locked: true },
    ...{ createdAt: null, secretCount: null, keyCount: null },
    database: { encrypted: true, cipherPageSize: null },
    slots: slots.map(slotSummary),
    ...{ slotGeneration: generation, slotFile: null, rotation: null },
    // Of the slots, which are not in the database.
    renewing: inherited?.formerRows !== undefined,
    ...{ degraded: null, degradedDataKeys: null, dataKeys: null, rootedIn: null },
  };
};

const slotFile = async (
  paths: HomePaths,
  row: VaultRow,
  keyslots: Keyslots,
): Promise<VaultStatus["slotFile"]> => {
  if (paths.slotRow && isBefore(await readPin(paths.pins, keyslots.vaultId), keyslots)) {
    return "newer";
  }
  const found = standing(row, keyslots);
  if (found === "older" || found === "newer") return found;
  return found === "current" && isFinal(row) ? "settled" : "unfinished";
};
