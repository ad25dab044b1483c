import { type Bytes, bytesEqual, CryptoError, isCryptoError, zero } from "@lango/crypto-core";
import { type Keyslots, openSlot, type Slot } from "@lango/envelope";
import { type CredentialKey, encryptionKeyLabel, isEncryptionKeySlot } from "@lango/unlock";
import type { VaultContext } from "./context.ts";
import { auditFailure } from "./failures.ts";
import type { HomePaths } from "./keyslots-file.ts";
import { retireDataKeys } from "./older-rows.ts";
import { checkOpens, putSlots, slotSummary } from "./put-slots.ts";
import { addSlot } from "./slot-changes.ts";
import { settle } from "./slot-file-state.ts";
import type { SlotSummary } from "./slot-types.ts";

/** What it takes to change the slots; the caller holds the lock. */
export interface EnvSlotsOptions {
  readonly context: VaultContext;
  readonly paths: HomePaths;
  readonly vaultKey: Bytes;
}

/** A newer key that came along with the one that opened the vault. */
export interface NewerKey {
  readonly source: string;
  readonly key: Bytes;
  readonly label: string;
}

/** Copies of keys that opened nothing yet, the newest last. @param keys - The newest first. */
export const keepNewer = (keys: readonly CredentialKey[]): NewerKey[] =>
  keys
    .flatMap(({ slotLabel, source, secret }) =>
      slotLabel === undefined ? [] : [{ source, key: secret.slice(), label: slotLabel }],
    )
    .reverse();

/**
 * Adds slots for newer versions of the key that opened the vault, and starts new data keys: what is written from now on is not
 * under those of the time of the old key. Best effort, since the opening has succeeded: with the lock held by another or the
 * folder read-only it is left to the next one.
 */
export const adoptNewerKeys = async (
  options: EnvSlotsOptions,
  newer: readonly NewerKey[],
): Promise<void> => {
  const { context } = options;
  try {
    await context.store.withLock(
      async () => {
        for (const key of newer) await adoptEnvKey(options, key);
      },
      { waitMs: 0 },
    );
  } catch (error) {
    if (isCryptoError(error) && error.code === "ERR_CONFLICT") return;
    const detail = isCryptoError(error) ? error.message : undefined;
    await auditFailure(context.log, { action: "slots.add", target: "env", detail }, error);
  }
};

/** Adds the slot of a key unless it has one; with it begin new data keys, in the same transaction. The caller holds the lock. */
export const adoptEnvKey = async (
  options: EnvSlotsOptions,
  { source, key, label }: NewerKey,
): Promise<SlotSummary | undefined> => {
  const { context, paths, vaultKey } = options;
  // Another process may have been faster.
  const { keyslots } = await settle(context, paths, vaultKey);
  if (await slotOf(keyslots, key, vaultKey)) return undefined;
  const free = freeLabel(label, keyslots);
  return addSlot(
    { context, paths, vaultKey, keyslots },
    { kind: "env", key, label: free },
    {
      detail: `${free} from ${source}, and new data keys`,
      also: (tx) => retireDataKeys(context, tx),
    },
  );
};

/**
 * Removes the slots of all versions of `ENCRYPTION_KEY` but the one that `newest` opens, which is proven first. The caller holds
 * the lock. A process that dies in the middle leaves some of them, for the next call.
 *
 * @throws {@link CryptoError} `ERR_WRONG_PASSPHRASE` when `newest` opens none of them; nothing was changed then.
 */
export const removeOlderEnvSlots = async (
  { context, paths, vaultKey }: EnvSlotsOptions,
  newest: Uint8Array,
): Promise<SlotSummary[]> => {
  const removed: SlotSummary[] = [];
  for (;;) {
    const { keyslots } = await settle(context, paths, vaultKey);
    const kept = await slotOf(keyslots, newest, vaultKey);
    if (!kept) {
      throw new CryptoError("ERR_WRONG_PASSPHRASE", "The newest ENCRYPTION_KEY opens no slot");
    }
    const old = keyslots.slots.find((slot) => isEncryptionKeySlot(slot) && slot.id !== kept.id);
    if (!old) return removed;
    await putSlots(
      { context, paths, vaultKey, keyslots },
      keyslots.slots.filter((slot) => slot !== old),
      (written) => checkOpens(written, kept.id, vaultKey, () => newest),
      { action: "slots.remove", target: old.id, detail: `${old.label}, older than ${kept.label}` },
    );
    removed.push(slotSummary(old));
  }
};

/** The slot of `ENCRYPTION_KEY` that a key opens. */
const slotOf = async (
  keyslots: Keyslots,
  key: Uint8Array,
  vaultKey: Bytes,
): Promise<Slot | undefined> => {
  for (const slot of keyslots.slots.filter(isEncryptionKeySlot)) {
    try {
      const opened = await openSlot(keyslots, slot, key);
      const same = bytesEqual(opened, vaultKey);
      zero(opened);
      if (same) return slot;
    } catch (error) {
      if (!isCryptoError(error) || error.code !== "ERR_WRONG_PASSPHRASE") throw error;
    }
  }
  return undefined;
};

/** After a swap of `ENCRYPTION_KEY` and `ENCRYPTION_KEY_NEXT` the environment counts from 0 again; the slots do not. */
const freeLabel = (label: string, { slots }: Keyslots): string => {
  const numberOf = (text: string): number => Number(/\d+$/.exec(text)?.[0]);
  if (!slots.some((slot) => isEncryptionKeySlot(slot) && slot.label === label)) return label;
  const taken = slots.filter(isEncryptionKeySlot).map((slot) => numberOf(slot.label ?? ""));
  return encryptionKeyLabel(Math.max(...taken) + 1);
};
