import type { StoreTransaction } from "@lango/store";
import { removeAllIn } from "./approvals/permits.ts";
import type { RowChange } from "./audit/entry.ts";
import { changeOf } from "./audit/row-hashes.ts";
import { suspendCompanions } from "./companions.ts";
import type { VaultContext } from "./context.ts";
import { checkRow, withMac } from "./rows.ts";

// Rows from earlier have forgotten what came after them: what was sealed, who was revoked, what was used up or taken back.

/** Makes every data key decrypt-only: its counts may be too low. */
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

/** What {@link distrustOlderRows} changed, by what it was. */
export interface Distrusted {
  readonly dataKeys: readonly RowChange[];
  readonly companions: readonly RowChange[];
  readonly permits: readonly RowChange[];
}

/** For an older database that is taken into use: data keys only decrypt, devices wait to be confirmed, permits are gone. */
export const distrustOlderRows = async (
  context: Pick<VaultContext, "keys">,
  tx: StoreTransaction,
): Promise<Distrusted> => {
  const permits = [...(await tx.permits.list("grant")), ...(await tx.permits.list("handle"))];
  return {
    dataKeys: await retireDataKeys(context, tx),
    companions: await suspendCompanions(context, tx),
    permits: await removeAllIn(tx, permits),
  };
};
