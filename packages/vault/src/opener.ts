import { type Bytes, CryptoError, isCryptoError, parseKeyUri, zero } from "@lango/crypto-core";
import { type Keyslots, openSlot, type Slot, unwrapSlotKey, verifyKeyslots } from "@lango/envelope";
import type {
  Credential,
  CredentialKey,
  SkippedSource,
  SlotInfo,
  UnlockResult,
} from "@lango/unlock";
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
  /** @param note - Is told of each failure, before a person is asked once more. */
  open(note: (error: unknown) => Promise<void>): Promise<OpenedKey>;
}

export interface OpenedKey extends KnownKey {
  /** The passphrase, if its slot is to be strengthened; see `upgradeKdf`. The caller zeroes it. */
  readonly forUpgrade?: Bytes | undefined;
}

/** How often a person may type a passphrase, as with sudo and ssh. Deriving the key is the delay between two. */
const TRIES = 3;

/** Asks for a credential, or takes the vault key that is at hand. */
export const openerOf = async (
  options: OpenVaultOptions,
  { keyslots }: KeyslotsFile,
  known: KnownKey | undefined,
): Promise<Opener> => {
  if (known) {
    const { source } = known.unlockedBy;
    return {
      source,
      async open(note) {
        try {
          verifyKeyslots(known.vaultKey, keyslots);
          return known;
        } catch (error) {
          await note(error);
          throw error;
        }
      },
    };
  }
  const { credential, skipped } = await obtain(options, keyslots);
  const { kind, again } = credential;
  return {
    source: sourcesOf(credential),
    async open(note) {
      let tried = credential;
      for (let left = TRIES - 1; ; left--) {
        const forUpgrade = keepForUpgrade(keyslots, tried);
        try {
          const { vaultKey, slotId, used, newer } = await openAnySlot(keyslots, tried);
          const { source, ambient } = used;
          const passedOver = [...skipped, ...withoutSlot(newer)];
          const unlockedBy = { slotId, kind, source, ambient, skipped: passedOver };
          return { vaultKey, unlockedBy, newer, forUpgrade };
        } catch (error) {
          zero(forUpgrade);
          await note(error);
          const secret = left > 0 && isWrong(error) ? await again?.() : undefined;
          if (secret === undefined) throw error;
          tried = { ...credential, secret };
        }
      }
    },
  };
};

const isWrong = (error: unknown): boolean =>
  isCryptoError(error) && error.code === "ERR_WRONG_PASSPHRASE";

const withoutSlot = (newer: readonly NewerKey[]): SkippedSource[] =>
  newer.map(({ source }) => ({ source, reason: "it opens no slot yet" })).reverse();

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
          if (!isWrong(error)) throw error;
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
