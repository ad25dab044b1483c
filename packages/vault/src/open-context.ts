import { createSecretKey } from "node:crypto";
import { type Bytes, fromHex, isCryptoError, zero } from "@lango/crypto-core";
import {
  deriveVaultKeys,
  type Keyslots,
  openSlot,
  openValue,
  type VaultKeys,
} from "@lango/envelope";
import type { Store, VaultRow } from "@lango/store";
import type { Credential, CredentialKey, SlotInfo, UnlockResult } from "@lango/unlock";
import { type AuditKey, auditKeyAad } from "./audit/chain.ts";
import { createAuditLog, createStamp } from "./audit/log.ts";
import { createSpool, type Spool } from "./audit/spool.ts";
import type { VaultContext } from "./context.ts";
import { keepNewer, type NewerKey } from "./env-slots.ts";
import { checkSameVault, noVault, openDatabase } from "./home.ts";
import { keepForUpgrade } from "./kdf-upgrade.ts";
import { type HomePaths, homePaths, type KeyslotsFile, readKeyslots } from "./keyslots-file.ts";
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
  const { home, clock = Date.now, audit, busyTimeoutMs } = options;
  const paths = homePaths(home);
  const file = await readKeyslots(paths);
  if (!file) throw await noVault(home);

  const { credential, skipped } = await obtain(options, file.keyslots);
  const { kind } = credential;
  const forUpgrade = keepForUpgrade(file.keyslots, credential);
  let store: Store | undefined;
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
    store = await openDatabase(paths, "open", busyTimeoutMs);
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

const obtain = ({ unlock }: OpenVaultOptions, { slots }: Keyslots): Promise<UnlockResult> => {
  const infos = slots.map(
    ({ id, kind, label }): SlotInfo => ({ id, kind, ...(label === undefined ? {} : { label }) }),
  );
  return typeof unlock === "function" ? unlock(infos) : unlock.obtain(infos);
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

const openAuditKey = (keys: VaultKeys, vaultId: Bytes, row: VaultRow): AuditKey => {
  const material = openValue(keys.wrap, row.auditKey, auditKeyAad(vaultId, row.auditEpoch));
  try {
    return { key: createSecretKey(material), epoch: row.auditEpoch };
  } finally {
    zero(material);
  }
};
