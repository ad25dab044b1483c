import { isCryptoError } from "@lango/crypto-core";
import type { Keyslots, Slot } from "@lango/envelope";
import { openPlain } from "../home.ts";
import { homePaths, readKeyslots } from "../keyslots-file.ts";
import { readPin } from "../pins.ts";

/** What a home that is about to be replaced knows of later times. None of it is authenticated. */
export interface LaterState {
  readonly vaultId: string;
  /** The highest generation of the slots that its files know, or that its machine has seen on a server. */
  readonly generation: number;
  /** Ids of its slots; `undefined` where they are on a server. */
  readonly slotIds?: ReadonlySet<string> | undefined;
  /** The last row of its log, where its database can be read. */
  readonly head?: { readonly seq: number; readonly hash: Uint8Array } | undefined;
}

/**
 * Reads what can be read; a damaged home is a good reason to restore.
 *
 * @param restored - The vault of the backup.
 * @returns `undefined` when nothing is known of a vault there, not even by what its machine has seen of it on a server.
 */
export const readLaterState = async (
  home: string,
  restored: string,
): Promise<LaterState | undefined> => {
  const paths = homePaths(home);
  const file = await orUndefined(() => readKeyslots(paths));
  const seen = (await orUndefined(() => readPin(paths.pins, restored)))?.generation;
  if (!file) return seen === undefined ? undefined : { vaultId: restored, generation: seen };
  const { vaultId, generation, slots } = file.keyslots;
  const slotIds = new Set(slots.map(({ id }) => id));
  const known = await orUndefined(async () => {
    // One that is encrypted shows nothing; its slots do.
    await using store = await openPlain(paths);
    if (!store) return undefined;
    const row = await store.vault.get();
    return { row, head: await store.audit.head() };
  });
  const ofRow = Math.max(known?.row?.slotGeneration ?? 0, known?.row?.pendingGeneration ?? 0);
  return {
    vaultId,
    generation: Math.max(generation, ofRow, seen ?? 0),
    slotIds,
    head: known?.head,
  };
};

/** Slots of a backup that a later state has no more; `undefined` where its slots are not known. */
export const returned = ({ slots }: Keyslots, { slotIds }: LaterState): Slot[] | undefined =>
  slotIds && slots.filter(({ id }) => !slotIds.has(id));

const orUndefined = async <T>(read: () => Promise<T>): Promise<T | undefined> => {
  try {
    return await read();
  } catch (error) {
    if (isCryptoError(error)) return undefined;
    throw error;
  }
};
