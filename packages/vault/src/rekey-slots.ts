import { type Bytes, bytesEqual, CryptoError, isCryptoError, zero } from "@lango/crypto-core";
import {
  createSlot,
  type Keyslots,
  normalizePassphrase,
  openSlot,
  renewKdf,
  type Slot,
  type SlotCredential,
  unwrapSlotKey,
} from "@lango/envelope";
import { checkKdf } from "./kdf.ts";
import { checkOpens, noSlot } from "./put-slots.ts";
import type { RekeyOptions } from "./rekey-types.ts";

/** What becomes of the slots. */
export interface SlotPlan {
  readonly made: readonly PlannedSlot[];
  readonly dropped: readonly Slot[];
}

export interface PlannedSlot {
  /** The slot whose place it takes; none for one in addition. */
  readonly old: Slot | undefined;
  readonly credential: SlotCredential;
  readonly isNew: boolean;
}

/**
 * Says for every slot whether it stays or goes. None is forgotten, and one at least stays.
 *
 * @throws {@link CryptoError} `ERR_NOT_FOUND` for the id of no slot; `ERR_CONFLICT` for a slot of which nothing, or two
 *   things, are said, and when none would be left; `ERR_INVALID_ARGUMENT`.
 */
export const planSlots = ({ slots }: Keyslots, options: RekeyOptions): SlotPlan => {
  const { credentials, drop = [], add = [] } = options;
  const ids = [...credentials.map(({ slotId }) => slotId), ...drop];
  for (const id of ids) {
    if (!slots.some((slot) => slot.id === id)) {
      throw noSlot(id);
    }
  }
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) {
    throw new CryptoError("ERR_CONFLICT", `Slot ${twice} is named twice`);
  }
  const open = slots.filter(({ id }) => !ids.includes(id));
  if (open.length > 0) {
    const names = open.map(({ id, kind }) => `${kind} ${id}`).join(", ");
    throw new CryptoError("ERR_CONFLICT", `Neither kept nor dropped: ${names}`, {
      context: { hint: "Give their credentials, or say that they shall go" },
    });
  }
  const kept = credentials.map(({ slotId, credential, isNew = false }): PlannedSlot => {
    const old = slots.find(({ id }) => id === slotId) as Slot;
    return { old, credential: inPlaceOf(old, credential), isNew };
  });
  const made = [...kept, ...add.map((credential) => ({ old: undefined, credential, isNew: true }))];
  if (made.length === 0) {
    throw new CryptoError("ERR_CONFLICT", "No slot would be left: nothing would open the vault");
  }
  for (const { credential } of made) {
    if (credential.kind !== "passphrase") continue;
    checkKdf(credential.kdf, credential.acceptWeakKdf ?? false);
    zero(normalizePassphrase(credential.passphrase));
  }
  return { made, dropped: slots.filter(({ id }) => drop.includes(id)) };
};

/** The label goes on, and so do the device and costs that are higher than those of today. */
const inPlaceOf = (old: Slot, credential: SlotCredential): SlotCredential => {
  if (credential.kind !== old.kind) {
    const message = `Slot ${old.id} is of kind ${old.kind}, not ${credential.kind}`;
    throw new CryptoError("ERR_INVALID_ARGUMENT", message);
  }
  const label = credential.label ?? old.label;
  if (credential.kind === "provider") {
    return { ...credential, label, companion: credential.companion ?? old.companion };
  }
  if (credential.kind !== "passphrase" || old.kdf === undefined) return { ...credential, label };
  return { ...credential, label, kdf: credential.kdf ?? renewKdf(old.kdf) };
};

/**
 * Opens each slot that keeps its credential, so that a slip of the fingers makes no slot that nobody opens.
 *
 * @throws {@link CryptoError} `ERR_WRONG_PASSPHRASE`, and whatever a provider throws.
 */
export const proveSlots = async (
  keyslots: Keyslots,
  made: readonly PlannedSlot[],
  vaultKey: Bytes,
): Promise<void> => {
  for (const { old, credential, isNew } of made) {
    if (!old || isNew) continue;
    const secret = await secretFor(keyslots, old, credential);
    const opened = await openSlot(keyslots, old, secret).catch((cause: unknown) => {
      throw nameSlot(cause, old);
    });
    const same = bytesEqual(opened, vaultKey);
    zero(opened);
    if (credential.kind === "provider") zero(secret);
    if (!same) throw new CryptoError("ERR_INTERNAL", `Slot ${old.id} holds another vault key`);
  }
};

/** Several credentials may have been typed: which one was wrong is in no message of the slot itself. */
const nameSlot = (cause: unknown, { id, kind, label }: Slot): unknown =>
  isCryptoError(cause) && cause.code === "ERR_WRONG_PASSPHRASE"
    ? new CryptoError(
        "ERR_WRONG_PASSPHRASE",
        `What was given for slot ${label ?? id} (${kind}) does not open it`,
        { context: { hint: "Nothing was changed: begin again" }, cause },
      )
    : cause;

/** Makes the slots of the new vault key. */
export const makeSlots = async (
  vaultKey: Bytes,
  vaultId: Bytes,
  made: readonly PlannedSlot[],
): Promise<Slot[]> => {
  const slots: Slot[] = [];
  for (const { credential } of made) slots.push(await createSlot(vaultKey, vaultId, credential));
  return slots;
};

/** Opens every new slot from the bytes that go to the disk. */
export const checkNewSlots = async (
  keyslots: Keyslots,
  written: Uint8Array,
  made: readonly PlannedSlot[],
  vaultKey: Bytes,
): Promise<void> => {
  for (const [index, { credential }] of made.entries()) {
    const id = keyslots.slots[index]?.id ?? "";
    await checkOpens(written, id, vaultKey, (slot) => secretFor(keyslots, slot, credential));
  }
};

const secretFor = async (
  keyslots: Keyslots,
  slot: Slot,
  credential: SlotCredential,
): Promise<Uint8Array> => {
  switch (credential.kind) {
    case "passphrase":
      return credential.passphrase;
    case "recovery":
      return credential.entropy;
    case "provider":
      return unwrapSlotKey(keyslots, slot, credential);
    default:
      return credential.key;
  }
};
