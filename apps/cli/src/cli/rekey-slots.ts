import {
  type Bytes,
  CryptoError,
  type CryptoProvider,
  isCryptoError,
  parseKeyUri,
  zero,
} from "@lango/crypto-core";
import { type Credential, createUnlocker, type SlotInfo, type UnlockOptions } from "@lango/unlock";
import type { RekeyCredential, SlotSummary, Vault } from "@lango/vault";
import { usageError } from "./arguments.ts";
import type { Context } from "./context.ts";
import { lazyKeyring } from "./keyring.ts";
import { askSecret, canAsk } from "./terminal.ts";

/** What there is to make the slots of a new vault key from. */
export interface AtHand {
  readonly context: Context;
  readonly vault: Vault;
  readonly providers: Readonly<Record<string, CryptoProvider>>;
  /** What opened the vault. */
  readonly opener: Credential;
  /** The key that `LANGO_MASTER_KEY` will have. */
  readonly newMasterKey: Bytes | undefined;
  /** The ids of slots that shall go. */
  readonly drop: readonly string[];
}

export interface SlotChoice {
  readonly stay: readonly { readonly slot: SlotSummary; readonly credential: RekeyCredential }[];
  readonly go: readonly { readonly slot: SlotSummary; readonly reason: string }[];
  /** Zeroes what was read for it. */
  zero(): void;
}

type Found = Omit<RekeyCredential, "slotId"> | string;

/** Finds for each slot what it can be made from anew; a text says why there is nothing. */
export async function chooseSlots(atHand: AtHand): Promise<SlotChoice> {
  const read: Bytes[] = [];
  const stay: { slot: SlotSummary; credential: RekeyCredential }[] = [];
  const go: { slot: SlotSummary; reason: string }[] = [];
  for (const slot of await atHand.vault.slots.list()) {
    const found: Found = atHand.drop.includes(slot.id)
      ? "as was asked for"
      : await FIND[slot.kind](slot, atHand, read);
    if (typeof found === "string") go.push({ slot, reason: found });
    else stay.push({ slot, credential: { slotId: slot.id, ...found } });
  }
  return { stay, go, zero: () => zero(...read) };
}

const isOpener = (slot: SlotSummary, { vault }: AtHand): boolean =>
  slot.id === vault.unlockedBy.slotId;

const FIND: Readonly<
  Record<SlotSummary["kind"], (slot: SlotSummary, atHand: AtHand, read: Bytes[]) => Promise<Found>>
> = {
  async passphrase(slot, atHand, read) {
    if (isOpener(slot, atHand)) {
      return { credential: { kind: "passphrase", passphrase: atHand.opener.secret } };
    }
    if (!canAsk(atHand.context)) return "its passphrase was not given";
    const passphrase = await askPassphrase(slot, atHand);
    if (passphrase === undefined) return "its passphrase was not given";
    read.push(passphrase);
    return { credential: { kind: "passphrase", passphrase } };
  },
  async recovery(slot, atHand) {
    if (!isOpener(slot, atHand)) return "its words are on paper";
    return { credential: { kind: "recovery", entropy: atHand.opener.secret } };
  },
  async env(slot, atHand) {
    const { newMasterKey: key, vault } = atHand;
    const slots = await vault.slots.list();
    const isOnly = slots.filter(({ kind }) => kind === "env").length === 1;
    if (key !== undefined && (isOpener(slot, atHand) || isOnly)) {
      return { credential: { kind: "env", key }, isNew: true };
    }
    if (!isOpener(slot, atHand)) return "its key is in an environment";
    throw usageError(
      `${atHand.opener.source} opens the vault, and needs a new key`,
      "Hand it over with --new-master-key-fd N: openssl rand -hex 32 makes one",
    );
  },
  "master-key-file": (slot, atHand, read) => keyOf(slot, atHand, read),
  keyring: (slot, atHand, read) => keyOf(slot, atHand, read),
  async provider(slot, { providers }) {
    const { uri = "" } = slot;
    const { scheme, keyId } = parseKeyUri(uri);
    const provider = Object.hasOwn(providers, scheme) ? providers[scheme] : undefined;
    if (provider === undefined) return `no provider ${scheme} is configured`;
    return { credential: { kind: "provider", uri, provider, keyId } };
  },
};

const TRIES = 3;

/** Tried at once: what is decided and written on paper next would be for nothing. */
async function askPassphrase(
  { id, label }: SlotSummary,
  { context, vault }: AtHand,
): Promise<Bytes | undefined> {
  const name = label ?? id.slice(0, 8);
  for (let attempt = 1; attempt <= TRIES; attempt += 1) {
    const passphrase = await askSecret(`Passphrase of slot ${name} (empty: it goes): `);
    if (passphrase === undefined || passphrase.length === 0) return undefined;
    if (await vault.slots.opens(id, passphrase)) return passphrase;
    zero(passphrase);
    context.warn(`that does not open slot ${name}`);
  }
  throw new CryptoError("ERR_WRONG_PASSPHRASE", `Nothing that was typed opens slot ${name}`, {
    context: { hint: "Nothing was changed: begin again, or leave it empty and the slot goes" },
  });
}

/** The key in `master.key` or in the keyring as it is now: afterwards it gives way to another, see `renewKeys`. */
async function keyOf(slot: SlotSummary, atHand: AtHand, read: Bytes[]): Promise<Found> {
  const { kind } = slot;
  if (kind !== "master-key-file" && kind !== "keyring") return "";
  if (isOpener(slot, atHand)) return { credential: { kind, key: atHand.opener.secret } };
  const { context } = atHand;
  const options: UnlockOptions = {
    ...{ home: context.home, env: {}, unlockWith: kind, stdinFree: false },
    keyring: lazyKeyring(context),
    keyringEnabled: true,
  };
  const info: SlotInfo = { id: slot.id, kind };
  try {
    const { credential } = await createUnlocker(options).obtain([info]);
    read.push(credential.secret);
    return { credential: { kind, key: credential.secret } };
  } catch (error) {
    if (isCryptoError(error) && error.code === "ERR_LOCKED") return "its key is not there";
    throw error;
  }
}
