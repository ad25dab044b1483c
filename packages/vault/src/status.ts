import type { KeyObject } from "node:crypto";
import type { StoreReads } from "@lango/store";
import type { HomePaths } from "./keyslots-file.ts";
import { checkRow } from "./rows.ts";
import { vaultRow } from "./slot-file-state.ts";
import { listSlots } from "./slots.ts";
import type { VaultStatus } from "./types.ts";

/** What a vault shows with and without its key, at the same cost for any number of secrets. */
export const readStatus = async (
  store: StoreReads,
  paths: HomePaths,
  /** Of an open vault, whose rows must pass their MACs. */
  rowsKey: KeyObject | undefined,
): Promise<VaultStatus> => {
  const row = await vaultRow(store);
  const counts = await store.counts();
  const dataKeys = await store.dataKeys.list();
  if (rowsKey) {
    checkRow(rowsKey, "vault", row);
    for (const dataKey of dataKeys) checkRow(rowsKey, "data_keys", dataKey);
  }
  return {
    id: row.vaultId,
    locked: rowsKey === undefined,
    createdAt: row.createdAt,
    secretCount: counts.secrets,
    keyCount: counts.keys,
    slots: await listSlots(paths),
    slotGeneration: row.slotGeneration,
    degraded: dataKeys.some(({ degraded }) => degraded),
  };
};
