import { createSecretKey } from "node:crypto";
import {
  type Bytes,
  CryptoError,
  fromHex,
  isCryptoError,
  parseKeyUri,
  zero,
} from "@lango/crypto-core";
import {
  deriveVaultKeys,
  type Keyslots,
  openSlot,
  openValue,
  type Slot,
  unwrapSlotKey,
  type VaultKeys,
  verifyKeyslots,
} from "@lango/envelope";
import type { VaultRow } from "@lango/store";
import type { Credential, CredentialKey, SlotInfo, UnlockResult } from "@lango/unlock";
import { type AuditKey, auditKeyAad } from "./audit/chain.ts";
import { createAuditLog, createStamp } from "./audit/log.ts";
import { createSpool, type Spool } from "./audit/spool.ts";
import type { VaultContext } from "./context.ts";
import { keepNewer, type NewerKey } from "./env-slots.ts";
import { checkSameVault, noVault, openDatabase } from "./home.ts";
import { keepForUpgrade } from "./kdf-upgrade.ts";
import { type HomePaths, type KeyslotsFile, readKeyslots } from "./keyslots-file.ts";
import { checkComplete, isAbsent, openPlace, type Place } from "./place.ts";
import { checkRow } from "./rows.ts";
import { vaultRow } from "./slot-file-state.ts";
import type { OpenVaultOptions, UnlockedBy } from "./types.ts";
import { noteUnlockFailure, wrongCredential } from "./unlock-failures.ts";
import { createUseCounters } from "./use-counters.ts";

/** A vault whose key is known, before slots and database were brought together. */
export interface OpenedContext {
  readonly paths: HomePaths;
  /** As it was when the credential was asked for. */
  readonly file: KeyslotsFile;
  readonly row: VaultRow;
  readonly context: VaultContext;
  readonly auditKey: AuditKey;
  readonly spool: Spool;
  readonly vaultKey: Bytes;
  readonly unlockedBy: UnlockedBy;
  /** The passphrase, if its slot is to be strengthened; see `upgradeKdf`. */
  readonly forUpgrade: Bytes | undefined;
  /** Newer keys of the source that opened the vault, to be given slots; see `adoptNewerKeys`. */
  readonly newer: readonly NewerKey[];
  /** Zeroes the keys and closes the store. */
  discard(): Promise<void>;
  /** For when the opening fails after all: {@link discard}, and a note for the log. */
  fail(error: unknown): Promise<void>;
}

/** Finds a credential, opens a slot with it and the database with its key, and checks that they are of one vault. */
export const openContext = async (options: OpenVaultOptions): Promise<OpenedContext> => {
  const { clock = Date.now, audit, busyTimeoutMs } = options;
  const place = await openPlace(options, "open").catch(async (error) => {
    throw isAbsent(error) ? await noVault(options) : error;
  });
  const { paths } = place;
  const { file, unlocked } = await findCredential(options, place);
  const { credential, skipped } = unlocked;
  const { kind } = credential;
  const forUpgrade = keepForUpgrade(file.keyslots, credential);
  let store = place.store;
  let keys: VaultKeys | undefined;
  let opened: Bytes | undefined;
  let newer: readonly NewerKey[] = [];
  const discard = async (): Promise<void> => {
    keys?.destroy();
    zero(opened, forUpgrade, ...newer.map(({ key }) => key));
    await store?.close();
  };
  const fail = async (error: unknown): Promise<void> => {
    await discard();
    await noteUnlockFailure(paths, sourcesOf(credential), error, clock());
  };
  try {
    const { vaultKey, slotId, used, ...found } = await openAnySlot(file.keyslots, credential);
    opened = vaultKey;
    newer = found.newer;
    const { source, ambient } = used;
    store ??= await openDatabase(paths, "open", busyTimeoutMs);
    await checkComplete(store, paths.database);
    const vaultId = fromHex(file.keyslots.vaultId) ?? new Uint8Array();
    keys = deriveVaultKeys(vaultKey, vaultId);
    const row = await vaultRow(store);
    checkSameVault(row, file);
    checkRow(keys.rows, "vault", row);
    const auditKey = openAuditKey(keys, vaultId, row);
    const stamp = createStamp({ clock, source });
    const spool = createSpool({ store, path: paths.spool, auditKey, vaultId, stamp });
    const log = createAuditLog({
      ...{ store, auditKey, clock, source },
      ...(audit?.onFailure === "spool" ? { spool } : {}),
    });
    const counters = createUseCounters({ store, clock });
    const context: VaultContext = { store, vaultId, keys, log, counters, clock };
    const without = newer.map((key) => ({ source: key.source, reason: "it opens no slot yet" }));
    const unlockedBy = {
      ...{ slotId, kind, source, ambient },
      skipped: [...skipped, ...without.reverse()],
    };
    return {
      ...{ paths, file, row, context, auditKey, spool, vaultKey, forUpgrade, newer, unlockedBy },
      ...{ discard, fail },
    };
  } catch (error) {
    await fail(error);
    throw error;
  }
};

/** Reads the slots and asks for what opens one of them. */
const findCredential = async (
  options: OpenVaultOptions,
  { paths, store }: Place,
): Promise<{ readonly file: KeyslotsFile; readonly unlocked: UnlockResult }> => {
  try {
    const file = await readKeyslots(paths);
    if (!file) throw await noVault(options);
    return { file, unlocked: await obtain(options, file.keyslots) };
  } catch (error) {
    await store?.close();
    // A source that had something knew already that it opens nothing.
    if (isCryptoError(error) && error.code === "ERR_WRONG_PASSPHRASE") {
      await noteUnlockFailure(paths, error.message, error, (options.clock ?? Date.now)());
    }
    throw error;
  }
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

const openAuditKey = (keys: VaultKeys, vaultId: Bytes, row: VaultRow): AuditKey => {
  const material = openValue(keys.wrap, row.auditKey, auditKeyAad(vaultId, row.auditEpoch));
  try {
    return { key: createSecretKey(material), epoch: row.auditEpoch };
  } finally {
    zero(material);
  }
};
