import { bytesEqual, CryptoError, fromHex } from "@lango/crypto-core";
import { type Keyslots, serializeKeyslots } from "@lango/envelope";
import type { StoreTransaction, VaultRow } from "@lango/store";
import type { RowChange } from "./audit/entry.ts";
import type { NewEntry } from "./audit/log.ts";
import { changeOf } from "./audit/row-hashes.ts";
import type { VaultContext } from "./context.ts";
import type { HomePaths, KeyslotsFile } from "./keyslots-file.ts";
import { isBefore, isPinned, isPinSound, readPin, writePin } from "./pins.ts";
import { withMac } from "./rows.ts";
import { reached } from "./stages.ts";

// Slots as a row beside the vault's own: one transaction changes both, so nothing is ever pending. What the row cannot
// show, the return of the whole database, the pin of this machine does.

/** Whether this machine has seen these slots last, so that there is nothing to note. */
export const isNoted = async (paths: HomePaths, { keyslots }: KeyslotsFile): Promise<boolean> =>
  isPinned(await readPin(paths.pins, keyslots.vaultId), keyslots);

/**
 * Compares the slots with what this machine has seen of them, and notes them.
 *
 * @throws {@link CryptoError} `ERR_STORE_ROLLED_BACK` for a database from earlier, `ERR_INTEGRITY` when the pin or the
 *   database was changed by somebody else.
 */
export const checkPin = async (
  { keys }: VaultContext,
  paths: HomePaths,
  keyslots: Keyslots,
): Promise<void> => {
  const pin = await readPin(paths.pins, keyslots.vaultId);
  if (pin !== undefined && isBefore(pin, keyslots)) {
    const found = `${paths.database} has slots of generation ${keyslots.generation}, this machine has seen generation ${pin.generation}`;
    const same = pin.generation === keyslots.generation ? " with another content" : "";
    if (!isPinSound(keys.rows, keyslots.vaultId, pin)) {
      throw new CryptoError(
        "ERR_INTEGRITY",
        `${found}${same}, but ${paths.pins} was not written with this vault's key`,
        {
          context: { hint: ACCEPT },
        },
      );
    }
    throw new CryptoError("ERR_STORE_ROLLED_BACK", `${found}${same}: it is an older one`, {
      context: { hint: ACCEPT },
    });
  }
  if (!isPinned(pin, keyslots)) await writePin(paths.pins, keys.rows, keyslots);
};

const ACCEPT =
  "Restore a newer copy of the database, or accept this one: lango doctor --fix --accept-rollback";

/** Puts new slots in force: the row of the slots, the vault's own and the entry of the log in one transaction. */
export const writeSlotRow = async (
  { store, keys, log }: VaultContext,
  paths: HomePaths,
  before: VaultRow,
  next: Keyslots,
  check: (written: Uint8Array) => Promise<void>,
  entry: NewEntry,
  also: (tx: StoreTransaction) => Promise<RowChange[]>,
): Promise<void> => {
  const document = serializeKeyslots(next);
  // May derive a key or ask a provider, which is too long for a transaction.
  await check(document);
  const vault = withMac(keys.rows, "vault", {
    ...before,
    state: "ready",
    slotGeneration: next.generation,
    slotMac: fromHex(next.mac) ?? new Uint8Array(),
    pendingGeneration: null,
    pendingMac: null,
  });
  reached("slots:made");
  await store.transaction("full", async (tx) => {
    await tx.vault.update(vault, before.mac);
    const old = await tx.keyslots.get();
    await tx.keyslots.replace({ generation: next.generation, document }, old?.generation ?? 0);
    const written = await tx.keyslots.get();
    if (!written || !bytesEqual(written.document, document)) {
      throw new CryptoError("ERR_INTERNAL", "The database did not keep the new slots");
    }
    const rows = [changeOf("vault", vault), ...(await also(tx))];
    await log.appendIn(tx, { ...entry, rows });
  });
  reached("slots:current");
  await writePin(paths.pins, keys.rows, next);
};
