import { type Bytes, CryptoError, isCryptoError, parseKeyUri, zero } from "@lango/crypto-core";
import { type Keyslots, openSlot, type Slot, unwrapSlotKey, verifyKeyslots } from "@lango/envelope";
import type { Credential, SlotInfo, UnlockResult } from "@lango/unlock";
import { keepForUpgrade } from "./kdf-upgrade.ts";
import type { KeyslotsFile } from "./keyslots-file.ts";
import type { OpenVaultOptions, UnlockedBy } from "./types.ts";
import { wrongCredential } from "./unlock-failures.ts";

/** A vault key that is at hand: no credential is asked for. */
export interface KnownKey {
  /** Owned by the opening. */
  readonly vaultKey: Bytes;
  readonly unlockedBy: UnlockedBy;
}

/** What opens the vault. */
export interface Opener {
  readonly source: string;
  readonly forUpgrade: Bytes | undefined;
  open(): Promise<KnownKey>;
}

/** Asks for a credential, or takes the vault key that is at hand. */
export const openerOf = async (
  options: OpenVaultOptions,
  { keyslots }: KeyslotsFile,
  known: KnownKey | undefined,
): Promise<Opener> => {
  if (known) {
    const open = async (): Promise<KnownKey> => {
      verifyKeyslots(known.vaultKey, keyslots);
      return known;
    };
    return { source: known.unlockedBy.source, forUpgrade: undefined, open };
  }
  const { credential, skipped } = await obtain(options, keyslots);
  const { kind, source, ambient } = credential;
  return {
    source,
    forUpgrade: keepForUpgrade(keyslots, credential),
    async open() {
      const { vaultKey, slotId } = await openAnySlot(keyslots, credential);
      return { vaultKey, unlockedBy: { slotId, kind, source, ambient, skipped } };
    },
  };
};

const obtain = ({ unlock }: OpenVaultOptions, keyslots: Keyslots): Promise<UnlockResult> => {
  const infos = keyslots.slots.map((slot) => slotInfo(keyslots, slot));
  return typeof unlock === "function" ? unlock(infos) : unlock.obtain(infos);
};

/** With the unwrapping of a provider slot, for whoever has its provider. */
const slotInfo = (keyslots: Keyslots, slot: Slot): SlotInfo => {
  const { id, kind, label, uri } = slot;
  return {
    ...{ id, kind },
    ...(label === undefined ? {} : { label }),
    ...(uri === undefined
      ? {}
      : {
          uri,
          unwrap: (provider) =>
            unwrapSlotKey(keyslots, slot, { provider, keyId: parseKeyUri(uri).keyId }),
        }),
  };
};

interface OpenedSlot {
  readonly vaultKey: Bytes;
  readonly slotId: string;
}

/** Tries a credential on the slots that it is for. Its secret is zeroed. */
const openAnySlot = async (keyslots: Keyslots, credential: Credential): Promise<OpenedSlot> => {
  const { kind, secret, slotIds, source } = credential;
  let wrong: unknown;
  try {
    if (kind === "agent") return openByAgent(keyslots, credential);
    for (const slot of keyslots.slots) {
      if (!slotIds.includes(slot.id)) continue;
      try {
        return { vaultKey: await openSlot(keyslots, slot, secret), slotId: slot.id };
      } catch (error) {
        if (!isCryptoError(error) || error.code !== "ERR_WRONG_PASSPHRASE") throw error;
        wrong = error;
      }
    }
    throw wrongCredential(source, wrong);
  } finally {
    zero(secret);
  }
};

/**
 * Takes the vault key that an agent holds. It opens no longer than the slot would: a passphrase that was changed since, and a
 * slot that was removed, end it too.
 */
const openByAgent = (keyslots: Keyslots, { secret, slotIds, source }: Credential): OpenedSlot => {
  const slotId = slotIds[0] ?? "";
  const stale = (why: string, cause?: unknown): CryptoError =>
    new CryptoError(
      "ERR_WRONG_PASSPHRASE",
      `What the agent holds opens the vault no more: ${why} (from ${source})`,
      { context: { hint: 'Run "lango lock", and then "lango unlock" again' }, cause },
    );
  if (!keyslots.slots.some(({ id }) => id === slotId)) {
    throw stale("the slot that it was opened with was changed or removed");
  }
  try {
    verifyKeyslots(secret, keyslots);
  } catch (error) {
    // A file that was altered and one of another vault key look the same to whoever has only this key.
    throw stale("keyslots.json is of another vault key, or was altered", error);
  }
  return { vaultKey: secret.slice(), slotId };
};
