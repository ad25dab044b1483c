import type { StoreReads } from "@lango/store";
import type { HomePaths } from "./keyslots-file.ts";
import { vaultRow } from "./slot-file-state.ts";
import { listSlots } from "./slots.ts";
import type { VaultStatus } from "./types.ts";

/** What a vault shows with and without its key, at the same cost for any number of secrets. */
export const readStatus = async (
  store: StoreReads,
  paths: HomePaths,
  locked: boolean,
): Promise<VaultStatus> => {
  const row = await vaultRow(store);
  const counts = await store.counts();
  const dataKeys = await store.dataKeys.list();
  return {
    id: row.vaultId,
    locked,
    createdAt: row.createdAt,
    secretCount: counts.secrets,
    keyCount: counts.keys,
    slots: await listSlots(paths),
    slotGeneration: row.slotGeneration,
    degraded: dataKeys.some(({ degraded }) => degraded),
  };
};
