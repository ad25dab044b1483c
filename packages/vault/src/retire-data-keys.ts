import type { StoreTransaction } from "@lango/store";
import type { RowChange } from "./audit/entry.ts";
import { changeOf } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import { checkRow, withMac } from "./rows.ts";

/** Makes every active data key decrypt-only: the next write of each key and domain makes a new one. */
export const retireDataKeys = async (
  { keys }: Pick<VaultContext, "keys">,
  tx: StoreTransaction,
): Promise<RowChange[]> => {
  const changes: RowChange[] = [];
  for (const row of await tx.dataKeys.list()) {
    if (row.state !== "active") continue;
    checkRow(keys.rows, "data_keys", row);
    const retired = withMac(keys.rows, "data_keys", { ...row, state: "decrypt-only" });
    await tx.dataKeys.update(retired, row.mac);
    changes.push(changeOf("data_keys", retired));
  }
  return changes;
};
