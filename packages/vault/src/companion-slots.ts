import { CryptoError } from "@lango/crypto-core";
import {
  type CompanionPin,
  type Keyslots,
  parseKeyslots,
  type Slot,
  verifyKeyslots,
} from "@lango/envelope";
import type { StoreReads, StoreTransaction } from "@lango/store";
import type { RowChange } from "./audit/entry.ts";
import type { NewEntry } from "./audit/log.ts";
import type { VaultContext } from "./context.ts";
import { readKeyslots } from "./keyslots-file.ts";
import { putSlots } from "./put-slots.ts";
import { checkRow } from "./rows.ts";
import { settle } from "./slot-file-state.ts";
import type { SlotsOptions } from "./slots.ts";

// A slot that a companion opens names the device, because an encrypted database shows its pins to nobody before it is open.
// The row of the device decides; the slot follows it in the same change.

/** What a change of a device did. */
export interface Changed<T> {
  readonly value: T;
  readonly detail: string;
  /** None: nothing was changed. */
  readonly rows: readonly RowChange[];
}

const isOf =
  ({ id, fingerprint }: CompanionPin) =>
  ({ companion }: Slot): boolean =>
    companion !== undefined && (companion.id === id || companion.fingerprint === fingerprint);

/** The slots that a device opens, and the generation in which they do. */
export interface SlotsOfDevice {
  readonly generation: number;
  readonly slots: readonly Slot[];
}

export const slotsOfDevice = async (
  { paths }: Pick<SlotsOptions, "paths">,
  device: CompanionPin,
): Promise<SlotsOfDevice> => {
  const { generation = 0, slots = [] } = (await readKeyslots(paths))?.keyslots ?? {};
  return { generation, slots: slots.filter(isOf(device)) };
};

/** Whether these slots are in force and no others are on their way, among them one for the device. */
export const areInForce = async (
  { vault }: Pick<StoreReads, "vault">,
  { generation }: Pick<SlotsOfDevice, "generation">,
): Promise<boolean> => {
  const row = await vault.get();
  return row?.slotGeneration === generation && row.pendingMac === null;
};

/** @throws {@link CryptoError} `ERR_CONFLICT`, retryable: a change of the slots came between. */
export const checkInForce = async (
  tx: Pick<StoreReads, "vault">,
  seen: SlotsOfDevice,
): Promise<void> => {
  if (await areInForce(tx, seen)) return;
  throw new CryptoError("ERR_CONFLICT", "Another lango is changing the slots", {
    retryable: true,
    context: { hint: "Wait until it is done, then try again." },
  });
};

/**
 * For the transaction that announces a slot of a device: making the slot may have taken as long as a person takes to answer.
 *
 * @throws {@link CryptoError} `ERR_CONFLICT` when it is no longer the device that was asked.
 */
export const checkPaired = async (
  { keys }: Pick<VaultContext, "keys">,
  tx: Pick<StoreReads, "companions">,
  { id, fingerprint }: CompanionPin,
): Promise<void> => {
  const row = await tx.companions.find(id);
  if (row) checkRow(keys.rows, "companions", row);
  if (row?.fingerprint === fingerprint && row.state === "active") return;
  throw new CryptoError("ERR_CONFLICT", "The device was revoked or changed while it was asked", {
    context: { hint: "lango companion list shows those that there are" },
  });
};

/**
 * Of whatever is opened, before anything is done in it: the database says whether the device still may, and could not be asked before.
 *
 * @param slotId - Of the slot that opened it.
 * @throws {@link CryptoError} `ERR_ACCESS_DENIED` for a device that is suspended; `ERR_INTEGRITY` for one that the vault does not
 *   know, or whose row was changed outside lango.
 */
export const checkOpenedBy = async (
  { keys, store }: Pick<VaultContext, "keys" | "store">,
  { slots }: Keyslots,
  slotId: string,
): Promise<void> => {
  const pin = slots.find(({ id }) => id === slotId)?.companion;
  if (!pin) return;
  // By its id alone: a new key of the device is in its row before it is in the slot.
  const row = await store.companions.find(pin.id);
  if (!row) {
    throw new CryptoError("ERR_INTEGRITY", "A device opened the vault that it does not know", {
      context: {
        hint: "Was a revocation interrupted? Then remove its slot. Else somebody changed the database: lango audit verify --rows",
      },
    });
  }
  checkRow(keys.rows, "companions", row);
  if (row.state === "active") return;
  throw new CryptoError(
    "ERR_ACCESS_DENIED",
    `${row.name}, which opened the vault, is suspended since the database was restored`,
    {
      context: {
        hint: `If it is still good: lango companion confirm ${row.id} --unlock-with passphrase`,
      },
    },
  );
};

/** What becomes of the slots that a device opens. */
export interface SlotChange {
  readonly device: CompanionPin;
  /** What the log says of it. */
  readonly detail: string;
  /** What comes in the place of a slot; nothing: it goes. */
  readonly become: (slot: Slot) => Slot | undefined;
}

/**
 * Changes a device together with the slots that it opens, if there are any once nobody changes them.
 *
 * @throws {@link CryptoError} `ERR_CONFLICT` when the slot that opened this vault would go, or another lango holds the lock.
 */
export const withSlotsOfDevice = async <T>(
  { context, paths, vaultKey, openedBy }: SlotsOptions,
  { device, detail, become }: SlotChange,
  entry: Pick<NewEntry, "action" | "target">,
  run: (tx: StoreTransaction) => Promise<Changed<T>>,
): Promise<T> =>
  context.store.withLock(async () => {
    const { keyslots } = await settle(context, paths, vaultKey);
    const mine = keyslots.slots.filter(isOf(device));
    const slots = keyslots.slots.flatMap((slot) =>
      mine.includes(slot) ? (become(slot) ?? []) : slot,
    );
    if (mine.length === 0) return alone(context, entry, run);
    const stays = (id: string): boolean => slots.some((slot) => slot.id === id);
    if (mine.some(({ id }) => id === openedBy && !stays(id)) || slots.length === 0) {
      throw new CryptoError("ERR_CONFLICT", "The device opened the vault just now", {
        context: {
          hint: "Open it with something else to show that it can be: --unlock-with passphrase",
        },
      });
    }
    let changed: Changed<T> | undefined;
    const also = async (tx: StoreTransaction): Promise<RowChange[]> => {
      changed = await run(tx);
      return [...changed.rows];
    };
    const ids = mine.map(({ id }) => id).join(", ");
    await putSlots(
      { context, paths, vaultKey, keyslots },
      slots,
      async (written) => verifyKeyslots(vaultKey, parseKeyslots(written)),
      { ...entry, detail: `${detail}, with slot ${ids}` },
      also,
    );
    return (changed as Changed<T>).value;
  });

/** Changes a device, in one transaction with its audit row. */
export const alone = <T>(
  { store, log }: Pick<VaultContext, "store" | "log">,
  entry: Pick<NewEntry, "action" | "target">,
  run: (tx: StoreTransaction) => Promise<Changed<T>>,
): Promise<T> =>
  store.transaction("full", async (tx) => {
    const { value, detail, rows } = await run(tx);
    if (rows.length > 0) await log.appendIn(tx, { ...entry, detail, rows });
    return value;
  });
