import { type Bytes, CryptoError, isCryptoError, zero } from "@lango/crypto-core";
import {
  createSlot,
  defaultKdf,
  type Kdf,
  type Keyslots,
  normalizePassphrase,
  openSlot,
  renewKdf,
  type Slot,
} from "@lango/envelope";
import { encryptionKeyLabel } from "@lango/unlock";
import type { NewEntry } from "./audit/log.ts";
import type { VaultContext } from "./context.ts";
import { adoptEnvKey, removeOlderEnvSlots } from "./env-slots.ts";
import { auditFailure } from "./failures.ts";
import type { Gate } from "./gate.ts";
import { checkKdf } from "./kdf.ts";
import { type HomePaths, readKeyslots } from "./keyslots-file.ts";
import { checkOpens, putSlots, type SettledSlots, slotSummary } from "./put-slots.ts";
import { addSlot, removeSlot } from "./slot-changes.ts";
import { settle } from "./slot-file-state.ts";
import type { SlotSummary, Slots } from "./slot-types.ts";
import { reached } from "./stages.ts";

export interface SlotsOptions {
  readonly context: VaultContext;
  readonly paths: HomePaths;
  /** Kept for new slots; zeroed by whoever closes the vault. */
  readonly vaultKey: Bytes;
  readonly gate: Gate;
  /** The slot with which this vault was opened. */
  readonly openedBy: string;
}

const ACTION = "slots.change-passphrase";

export const createSlots = (options: SlotsOptions): Slots => {
  const { context, paths, vaultKey, gate, openedBy } = options;
  /** Changes the file under the lock; a failure is in the log too. */
  const change = <T>(
    entry: Pick<NewEntry, "action" | "target">,
    run: (settled: SettledSlots) => Promise<T>,
  ): Promise<T> =>
    gate.run(async () => {
      try {
        return await context.store.withLock(async () => {
          const { keyslots } = await settle(context, paths, vaultKey);
          return run({ context, paths, vaultKey, keyslots });
        });
      } catch (error) {
        await auditFailure(context.log, entry, error);
        throw error;
      }
    });
  return {
    list: () => gate.run(() => listSlots(paths)),
    opens: (id, secret) => gate.run(() => opensSlot(paths, id, secret)),
    async changePassphrase({ oldPassphrase, newPassphrase, kdf, acceptWeakKdf = false }) {
      checkKdf(kdf, acceptWeakKdf);
      // Too short is known before anything is derived.
      zero(normalizePassphrase(newPassphrase));
      return change({ action: ACTION }, async ({ keyslots }) => {
        const old = await passphraseSlot(keyslots, oldPassphrase);
        const made = { action: ACTION, passphrase: newPassphrase, kdf, acceptWeakKdf };
        return replaceSlot(context, paths, vaultKey, keyslots, old, made);
      });
    },
    async add(credential) {
      if (credential.kind === "passphrase") {
        checkKdf(credential.kdf, credential.acceptWeakKdf ?? false);
        zero(normalizePassphrase(credential.passphrase));
      }
      return change({ action: "slots.add", target: credential.kind }, (settled) =>
        addSlot(settled, credential),
      );
    },
    remove: (id) =>
      change({ action: "slots.remove", target: id }, (settled) =>
        removeSlot(settled, id, openedBy),
      ),
    adoptEncryptionKey: ({ key, version, variable }) =>
      change({ action: "slots.add", target: "env" }, () =>
        adoptEnvKey(options, { key, source: variable, label: encryptionKeyLabel(version) }),
      ),
    removeOlderEncryptionKeys: (newest) =>
      change({ action: "slots.remove", target: "env" }, () => removeOlderEnvSlots(options, newest)),
  };
};

export const listSlots = async (paths: HomePaths): Promise<SlotSummary[]> => {
  const file = await readKeyslots(paths);
  if (!file) throw new CryptoError("ERR_CONFLICT", `${paths.keyslots} is gone`);
  return file.keyslots.slots.map(slotSummary);
};

const opensSlot = async (paths: HomePaths, id: string, secret: Uint8Array): Promise<boolean> => {
  const file = await readKeyslots(paths);
  const slot = file?.keyslots.slots.find((each) => each.id === id);
  if (!file || !slot) throw new CryptoError("ERR_NOT_FOUND", `There is no slot ${id}`);
  try {
    zero(await openSlot(file.keyslots, slot, secret));
    return true;
  } catch (error) {
    if (isCryptoError(error) && error.code === "ERR_WRONG_PASSPHRASE") return false;
    throw error;
  }
};

/**
 * The slot that a passphrase opens.
 *
 * @param what - How the error calls the passphrase.
 * @throws {@link CryptoError} `ERR_WRONG_PASSPHRASE`.
 */
export const passphraseSlot = async (
  keyslots: Keyslots,
  passphrase: Uint8Array,
  what = "The old passphrase",
): Promise<Slot> => {
  for (const slot of keyslots.slots) {
    if (slot.kind !== "passphrase") continue;
    try {
      zero(await openSlot(keyslots, slot, passphrase));
      return slot;
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
  const slots = keyslots.slots.map((each) => (each.id === old.id ? slot : each));
  await putSlots(
    { context, paths, vaultKey, keyslots },
    slots,
    (written) => checkOpens(written, slot.id, vaultKey, () => passphrase),
    { action, target: old.id, detail: `replaced by slot ${slot.id}` },
  );
  return slotSummary(slot);
};
