import { verifyKeyslots } from "@lango/envelope";
import type { VaultContext } from "./context.ts";
import { type HomePaths, readKeyslots } from "./keyslots-file.ts";
import { checkRow } from "./rows.ts";
import { vaultRow } from "./slot-file-state.ts";

/**
 * Looks before each call whether the former rows key is still in force, in a process that knows one: a server that opened the vault
 * while rows were written anew would take rows under it for as long as it runs. Costs a read of the vault row until then.
 */
export const createFormerCheck = (
  { store, keys }: VaultContext,
  paths: HomePaths,
  vaultKey: Uint8Array,
): (() => Promise<void> | undefined) => {
  let seen: number | undefined;

  const look = async (): Promise<void> => {
    const row = await vaultRow(store);
    if (row.slotGeneration === seen) return;
    checkRow(keys.rows, "vault", row);
    const file = await readKeyslots(paths);
    // Not to be seen, or being changed: the next call looks again.
    if (file?.keyslots.generation !== row.slotGeneration) return;
    verifyKeyslots(vaultKey, file.keyslots);
    if (file.keyslots.inherited?.formerRows === undefined) keys.endFormerRows();
    seen = row.slotGeneration;
  };
  return () => (keys.rows.former ? look() : undefined);
};
