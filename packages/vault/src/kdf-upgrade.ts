import { type Bytes, isCryptoError } from "@lango/crypto-core";
import { isBelowFloor, type Keyslots, type Slot } from "@lango/envelope";
import type { Credential } from "@lango/unlock";
import type { VaultContext } from "./context.ts";
import { auditFailure } from "./failures.ts";
import type { HomePaths } from "./keyslots-file.ts";
import { settle } from "./slot-file-state.ts";
import { passphraseSlot, replaceSlot } from "./slots.ts";

/** Whether guessing the passphrase is cheaper than the floor of today, and the owner never said that it may be. */
const isTooWeak = ({ kdf, weakKdfAccepted }: Slot): boolean =>
  kdf !== undefined && isBelowFloor(kdf) && weakKdfAccepted !== true;

/** A copy of the passphrase if it may be for a slot to strengthen; the caller zeroes it. */
export const keepForUpgrade = (
  { slots }: Keyslots,
  { kind, secret, slotIds }: Credential,
): Bytes | undefined =>
  kind === "passphrase" && slots.some((slot) => slotIds.includes(slot.id) && isTooWeak(slot))
    ? secret.slice()
    : undefined;

/**
 * Puts a slot of today's costs in the place of a weaker one that was just opened. Best effort, since the opening has
 * succeeded: with the lock held by another or the folder read-only it is left to the next one.
 */
export const upgradeKdf = async (
  context: VaultContext,
  paths: HomePaths,
  vaultKey: Bytes,
  passphrase: Bytes,
): Promise<void> => {
  const action = "slots.upgrade-kdf";
  try {
    const underLock = async (): Promise<void> => {
      const { keyslots } = await settle(context, paths, vaultKey);
      const old = await passphraseSlot(keyslots, passphrase);
      // Another process may have been faster.
      if (!isTooWeak(old)) return;
      await replaceSlot(context, paths, vaultKey, keyslots, old, { action, passphrase });
    };
    await context.store.withLock(underLock, { waitMs: 0 });
  } catch (error) {
    if (isCryptoError(error) && error.code === "ERR_CONFLICT") return;
    const detail = isCryptoError(error) ? error.message : undefined;
    await auditFailure(context.log, { action, detail }, error);
  }
};
