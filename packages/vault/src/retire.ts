import { changeOf } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import { sealsRowsOnly } from "./names.ts";
import { checkRow, withMac } from "./rows.ts";
import { reached } from "./stages.ts";

/**
 * Destroys a data key: its row stays, for the log and for its id, and its wrapped bytes go.
 *
 * @returns False when a version needs it, it is active, or its domain may have sealed what is not in the vault.
 */
export const retireDataKey = (
  { store, keys, log }: Pick<VaultContext, "store" | "keys" | "log">,
  id: string,
): Promise<boolean> =>
  store.transaction("full", async (tx) => {
    const row = await tx.dataKeys.find(id);
    if (!row) return false;
    checkRow(keys.rows, "data_keys", row);
    if (row.state === "retired") return true;
    if (!sealsRowsOnly(row.domain)) return false;
    const gone = withMac(keys.rows, "data_keys", {
      ...row,
      wrapped: new Uint8Array(),
      state: "retired",
      degraded: false,
    });
    if (!(await tx.dataKeys.retire(gone, row.mac))) return false;
    reached("retire:written");
    const rows = [changeOf("data_keys", gone)];
    await log.appendIn(tx, { action: "data-key.retire", target: id, rows });
    return true;
  });
