import type { KeyObject } from "node:crypto";
import { CryptoError } from "@lango/crypto-core";
import type { Keyslots } from "@lango/envelope";
import type { StoreReads, VaultRow } from "@lango/store";
import { type HomePaths, readKeyslots } from "./keyslots-file.ts";
import { isBefore, readPin } from "./pins.ts";
import { slotSummary } from "./put-slots.ts";
import { groupDataKeys, rootedIn } from "./rooted-in.ts";
import { findRotation } from "./rotation-job.ts";
import { checkRow } from "./rows.ts";
import { isFinal, standing, vaultRow } from "./slot-file-state.ts";
import type { VaultStatus } from "./types.ts";

/** What a vault shows with and without its key, at the same cost for any number of secrets. */
export const readStatus = async (
  store: StoreReads,
  paths: HomePaths,
  /** Of an open vault, whose rows must pass their MACs. */
  rowsKey: KeyObject | undefined,
): Promise<VaultStatus> => {
  const file = await readKeyslots(paths);
  if (!file) throw new CryptoError("ERR_CONFLICT", `${paths.keyslots} is gone`);
  const { keyslots } = file;
  const row = await vaultRow(store);
  const counts = await store.counts();
  const dataKeyRows = await store.dataKeys.list();
  if (rowsKey) {
    checkRow(rowsKey, "vault", row);
    for (const dataKey of dataKeyRows) checkRow(rowsKey, "data_keys", dataKey);
  }
  const slots = keyslots.slots.map(slotSummary);
  const dataKeys = groupDataKeys(dataKeyRows);
  const degradedDataKeys = dataKeys.reduce((sum, { degraded }) => sum + degraded, 0);
  return {
    id: row.vaultId,
    location: paths.database,
    locked: rowsKey === undefined,
    createdAt: row.createdAt,
    secretCount: counts.secrets,
    keyCount: counts.keys,
    slots,
    slotGeneration: row.slotGeneration,
    slotFile: await slotFile(paths, row, keyslots),
    degraded: degradedDataKeys > 0,
    degradedDataKeys,
    dataKeys,
    rootedIn: rootedIn(slots, dataKeys),
    rotation: (await findRotation(store, rowsKey))?.status ?? null,
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
