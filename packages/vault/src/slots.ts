import { type Bytes, bytesEqual, CryptoError, isCryptoError, zero } from "@lango/crypto-core";
import {
  buildKeyslots,
  createSlot,
  defaultKdf,
  type Kdf,
  type Keyslots,
  normalizePassphrase,
  openSlot,
  parseKeyslots,
  renewKdf,
  type Slot,
} from "@lango/envelope";
import type { VaultContext } from "./context.ts";
import { auditFailure } from "./failures.ts";
import type { Gate } from "./gate.ts";
import { checkKdf } from "./kdf.ts";
import { type HomePaths, readKeyslots } from "./keyslots-file.ts";
import { settle, writeKeyslots } from "./slot-file-state.ts";
import { reached } from "./stages.ts";
import type { SlotSummary, Slots } from "./types.ts";

export interface SlotsOptions {
  readonly context: VaultContext;
  readonly paths: HomePaths;
  /** Kept for new slots; zeroed by whoever closes the vault. */
  readonly vaultKey: Bytes;
  readonly gate: Gate;
}

const ACTION = "slots.change-passphrase";

export const createSlots = ({ context, paths, vaultKey, gate }: SlotsOptions): Slots => ({
  list: () => gate.run(() => listSlots(paths)),
  changePassphrase: ({ oldPassphrase, newPassphrase, kdf, acceptWeakKdf = false }) =>
    gate.run(async () => {
      checkKdf(kdf, acceptWeakKdf);
      // Too short is known before anything is derived.
      zero(normalizePassphrase(newPassphrase));
      try {
        return await context.store.withLock(async () => {
          const { keyslots } = await settle(context, paths, vaultKey);
          const { slot: old, key } = await openPassphraseSlot(keyslots, oldPassphrase);
          zero(key);
          const passphrase = newPassphrase;
          const made = { action: ACTION, passphrase, kdf, acceptWeakKdf };
          return replaceSlot(context, paths, vaultKey, keyslots, old, made);
        });
      } catch (error) {
        await auditFailure(context.log, { action: ACTION }, error);
        throw error;
      }
    }),
});

export const listSlots = async (paths: HomePaths): Promise<SlotSummary[]> => {
  const file = await readKeyslots(paths);
  if (!file) throw new CryptoError("ERR_CONFLICT", `${paths.keyslots} is gone`);
  return file.keyslots.slots.map(slotSummary);
};

export const slotSummary = ({ id, kind, label, createdAt, kdf, uri }: Slot): SlotSummary => ({
  id,
  kind,
  createdAt,
  ...(label === undefined ? {} : { label }),
  ...(kdf === undefined ? {} : { kdf: kdf.name }),
  ...(uri === undefined ? {} : { uri }),
});

/**
 * The slot that a passphrase opens, and the key in it, which the caller zeroes.
 *
 * @param what - How the error calls the passphrase.
 * @throws {@link CryptoError} `ERR_WRONG_PASSPHRASE`.
 */
export const openPassphraseSlot = async (
  keyslots: Keyslots,
  passphrase: Uint8Array,
  what = "The old passphrase",
): Promise<{ readonly slot: Slot; readonly key: Bytes }> => {
  for (const slot of keyslots.slots) {
    if (slot.kind !== "passphrase") continue;
    try {
      return { slot, key: await openSlot(keyslots, slot, passphrase) };
    } catch (error) {
      if (!isCryptoError(error) || error.code !== "ERR_WRONG_PASSPHRASE") throw error;
    }
  }
  throw new CryptoError("ERR_WRONG_PASSPHRASE", `${what} opens no slot of the vault`);
};

/** What comes in the place of an old slot. */
export interface Replacement {
  /** What the log calls it. */
  readonly action: string;
  readonly passphrase: Uint8Array;
  /** Default: what nobody can call weaker than that of the old slot. */
  readonly kdf?: Kdf | undefined;
  readonly acceptWeakKdf?: boolean;
}

/** Puts a slot of a passphrase in the place of another. The caller holds the lock and has settled the file. */
export const replaceSlot = async (
  context: VaultContext,
  paths: HomePaths,
  vaultKey: Bytes,
  keyslots: Keyslots,
  old: Slot,
  { action, passphrase, kdf, acceptWeakKdf = false }: Replacement,
): Promise<SlotSummary> => {
  const slot = await createSlot(vaultKey, context.vaultId, {
    kind: "passphrase",
    passphrase,
    kdf: kdf ?? (old.kdf === undefined ? defaultKdf() : renewKdf(old.kdf)),
    acceptWeakKdf,
    ...(old.label === undefined ? {} : { label: old.label }),
  });
  reached("slots:made");
  const next = buildKeyslots(vaultKey, {
    vaultId: keyslots.vaultId,
    generation: keyslots.generation + 1,
    slots: keyslots.slots.map((each) => (each.id === old.id ? slot : each)),
  });
  await writeKeyslots(
    context,
    paths,
    next,
    (written) => checkOpens(written, slot.id, passphrase, vaultKey),
    {
      action,
      target: old.id,
      detail: `replaced by slot ${slot.id}, generation ${next.generation}`,
    },
  );
  return slotSummary(slot);
};

/** Opens the new slot from the bytes on the disk: only then may the old one go. */
const checkOpens = async (
  written: Uint8Array,
  slotId: string,
  passphrase: Uint8Array,
  vaultKey: Bytes,
): Promise<void> => {
  const keyslots = parseKeyslots(written);
  const slot = keyslots.slots.find(({ id }) => id === slotId);
  const opened = slot && (await openSlot(keyslots, slot, passphrase));
  const same = opened !== undefined && bytesEqual(opened, vaultKey);
  zero(opened);
  if (!same) throw new CryptoError("ERR_INTERNAL", "The new slot does not open the vault");
};
