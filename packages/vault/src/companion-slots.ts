import { CryptoError } from "@lango/crypto-core";
import { type CompanionPin, parseKeyslots, type Slot, verifyKeyslots } from "@lango/envelope";
import type { StoreTransaction } from "@lango/store";
import type { RowChange } from "./audit/entry.ts";
import type { NewEntry } from "./audit/log.ts";
import { readKeyslots } from "./keyslots-file.ts";
import { putSlots } from "./put-slots.ts";
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

/** The slots that a device opens. */
export const slotsOfDevice = async (
  { paths }: Pick<SlotsOptions, "paths">,
  device: CompanionPin,
): Promise<Slot[]> => (await readKeyslots(paths))?.keyslots.slots.filter(isOf(device)) ?? [];

/** What becomes of the slots that a device opens. */
export interface SlotChange {
  readonly device: CompanionPin;
  /** What the log says of it. */
  readonly detail: string;
  /** What comes in the place of a slot; nothing: it goes. */
  readonly become: (slot: Slot) => Slot | undefined;
}

/**
 * Changes a device together with the slots that it opens.
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
