import { CryptoError, zero } from "@lango/crypto-core";
import { createSlot, type Slot, type SlotCredential, unwrapSlotKey } from "@lango/envelope";
import { checkPaired } from "./companion-slots.ts";
import {
  type AlsoChanges,
  checkOpens,
  noSlot,
  putSlots,
  type SettledSlots,
  slotSummary,
} from "./put-slots.ts";
import type { SlotSummary } from "./slot-types.ts";

/** Adds a slot, and proves from the disk that it opens the vault before the file without it goes. */
export const addSlot = async (
  settled: SettledSlots,
  credential: SlotCredential,
  { detail, also }: { readonly detail?: string; readonly also?: AlsoChanges } = {},
): Promise<SlotSummary> => {
  const { context, vaultKey, keyslots } = settled;
  const slot = await createSlot(vaultKey, context.vaultId, credential);
  const alsoChecked: AlsoChanges = async (tx) => {
    if (slot.companion) await checkPaired(context, tx, slot.companion);
    return also ? also(tx) : [];
  };
  let unwrapped: Uint8Array | undefined;
  const secretOf = async (written: Slot): Promise<Uint8Array> => {
    switch (credential.kind) {
      case "passphrase":
        return credential.passphrase;
      case "recovery":
        return credential.entropy;
      case "provider":
        unwrapped = await unwrapSlotKey(keyslots, written, credential);
        return unwrapped;
      default:
        return credential.key;
    }
  };
  try {
    await putSlots(
      settled,
      [...keyslots.slots, slot],
      (written) => checkOpens(written, slot.id, vaultKey, secretOf),
      { action: "slots.add", target: slot.id, detail: detail ?? `a slot of kind ${slot.kind}` },
      alsoChecked,
    );
  } finally {
    zero(unwrapped);
  }
  return slotSummary(slot);
};

/** Removes a slot. The one that opened this vault stays: it is the only one of which it is known that somebody can use it. */
export const removeSlot = async (
  settled: SettledSlots,
  id: string,
  openedBy: string,
): Promise<SlotSummary> => {
  const { slots } = settled.keyslots;
  const slot = slots.find((each) => each.id === id);
  if (!slot) throw noSlot(id);
  if (slots.length === 1) {
    throw new CryptoError("ERR_CONFLICT", `Slot ${id} is the last one: without it nothing opens`, {
      context: { hint: "Add another slot first" },
    });
  }
  if (id === openedBy) {
    throw new CryptoError("ERR_CONFLICT", `Slot ${id} is the one that opened the vault just now`, {
      context: { hint: "Open it with another slot to show that it can be used" },
    });
  }
  await putSlots(
    settled,
    slots.filter((each) => each !== slot),
    // What is on the disk was parsed and its MAC is right; the slot that opened this vault is in it, unchanged.
    async () => undefined,
    { action: "slots.remove", target: id, detail: `a slot of kind ${slot.kind}` },
  );
  return slotSummary(slot);
};
