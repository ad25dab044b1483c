import { type Bytes, bytesEqual, CryptoError, zero } from "@lango/crypto-core";
import { buildKeyslots, type Keyslots, openSlot, parseKeyslots, type Slot } from "@lango/envelope";
import type { StoreTransaction } from "@lango/store";
import type { RowChange } from "./audit/entry.ts";
import type { NewEntry } from "./audit/log.ts";
import type { VaultContext } from "./context.ts";
import type { HomePaths } from "./keyslots-file.ts";
import { writeKeyslots } from "./slot-file-state.ts";
import type { SlotSummary } from "./slot-types.ts";

/** The file that the caller settled while it holds the lock, and what it takes to write the next one. */
export interface SettledSlots {
  readonly context: VaultContext;
  readonly paths: HomePaths;
  readonly vaultKey: Bytes;
  readonly keyslots: Keyslots;
}

/** Other rows that change together with the slots. */
export type AlsoChanges = (tx: StoreTransaction) => Promise<RowChange[]>;

/** Writes the next generation of the file, with other slots. */
export const putSlots = async (
  { context, paths, vaultKey, keyslots }: SettledSlots,
  slots: readonly Slot[],
  check: (written: Uint8Array) => Promise<void>,
  { detail, ...entry }: NewEntry & { readonly detail: string },
  also?: AlsoChanges,
): Promise<void> => {
  const { vaultId, generation, inherited } = keyslots;
  const next = buildKeyslots(vaultKey, { vaultId, generation: generation + 1, slots, inherited });
  const told = { ...entry, detail: `${detail}, generation ${next.generation}` };
  await writeKeyslots(context, paths, next, check, told, also);
};

/** Opens the new slot from the bytes on the disk: only then may the old file go. */
export const checkOpens = async (
  written: Uint8Array,
  slotId: string,
  vaultKey: Bytes,
  secretOf: (slot: Slot) => Uint8Array | Promise<Uint8Array>,
): Promise<void> => {
  const keyslots = parseKeyslots(written);
  const slot = keyslots.slots.find(({ id }) => id === slotId);
  const opened = slot && (await openSlot(keyslots, slot, await secretOf(slot)));
  const same = opened !== undefined && bytesEqual(opened, vaultKey);
  zero(opened);
  if (!same) throw new CryptoError("ERR_INTERNAL", "The new slot does not open the vault");
};

export const slotSummary = (slot: Slot): SlotSummary => {
  const { id, kind, label, createdAt, kdf, uri, companion } = slot;
  return {
    id,
    kind,
    createdAt,
    ...(label === undefined ? {} : { label }),
    ...(kdf === undefined ? {} : { kdf: kdf.name }),
    ...(uri === undefined ? {} : { uri }),
    ...(companion === undefined ? {} : { companion }),
  };
};

export const noSlot = (id: string): CryptoError =>
  new CryptoError("ERR_NOT_FOUND", `The vault has no slot ${id}`, {
    context: { hint: 'Run "lango security slots list"' },
  });
