import { type Bytes, CryptoError, isCryptoError, parseKeyUri, zero } from "@lango/crypto-core";
import { type Keyslots, openSlot, type Slot, unwrapSlotKey, verifyKeyslots } from "@lango/envelope";
import type { Credential, CredentialKey, SlotInfo, UnlockResult } from "@lango/unlock";
import { keepNewer, type NewerKey } from "./env-slots.ts";
import { keepForUpgrade } from "./kdf-upgrade.ts";
import type { KeyslotsFile } from "./keyslots-file.ts";
import type { OpenVaultOptions, UnlockedBy } from "./types.ts";
import { wrongCredential } from "./unlock-failures.ts";

/** A vault key that is at hand: no credential is asked for. */
export interface KnownKey {
  /** Owned by the opening. */
  readonly vaultKey: Bytes;
  readonly unlockedBy: UnlockedBy;
  /** Newer keys of the source that opened the vault, to be given slots; see `adoptNewerKeys`. */
  readonly newer?: readonly NewerKey[];
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
  const { kind } = credential;
  return {
    source: sourcesOf(credential),
    forUpgrade: keepForUpgrade(keyslots, credential),
    async open() {
      const { vaultKey, slotId, used, newer } = await openAnySlot(keyslots, credential);
      const { source, ambient } = used;
      const without = newer.map((key) => ({ source: key.source, reason: "it opens no slot yet" }));
      const passedOver = [...skipped, ...without.reverse()];
      return {
        vaultKey,
        unlockedBy: { slotId, kind, source, ambient, skipped: passedOver },
        newer,
      };
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
  /** The key that did it. */
  readonly used: CredentialKey;
  /** The keys before it. */
  readonly newer: readonly NewerKey[];
}

/** Tries a credential, with all its keys, on the slots that it is for. Its secrets are zeroed. */
const openAnySlot = async (keyslots: Keyslots, credential: Credential): Promise<OpenedSlot> => {
  const tried: readonly CredentialKey[] = [credential, ...(credential.others ?? [])];
  let wrong: unknown;
  try {
    if (credential.kind === "agent") return openByAgent(keyslots, credential);
    for (const [index, used] of tried.entries()) {
      for (const slot of keyslots.slots) {
        if (!credential.slotIds.includes(slot.id)) continue;
        try {
          const vaultKey = await openSlot(keyslots, slot, used.secret);
          return { vaultKey, slotId: slot.id, used, newer: keepNewer(tried.slice(0, index)) };
        } catch (error) {
          if (!isCryptoError(error) || error.code !== "ERR_WRONG_PASSPHRASE") throw error;
          wrong = error;
        }
      }
    }
    throw wrongCredential(sourcesOf(credential), wrong);
  } finally {
    zero(...tried.map(({ secret }) => secret));
  }
};

const sourcesOf = ({ source, others = [] }: Credential): string =>
  [source, ...others.map((other) => other.source)].join(", ");

/**
 * Takes the vault key that an agent holds. It opens no longer than the slot would: a passphrase that was changed since, and a
 * slot that was removed, end it too.
 */
const openByAgent = (keyslots: Keyslots, credential: Credential): OpenedSlot => {
  const { secret, slotIds, source } = credential;
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
  return { vaultKey: secret.slice(), slotId, used: credential, newer: [] };
};
