import {
  type Bytes,
  CryptoError,
  concat,
  fromBase64,
  fromHex,
  isCryptoError,
  NONCE_BYTES,
  parseKeyUri,
  parts,
  randomBytesFresh,
  toBase64,
  toHex,
  utf8,
  zero,
} from "@lango/crypto-core";
import { createDataKey, newDataKeyId } from "./data-key.ts";
import { hkdf } from "./encoding.ts";
import { type JsonValue, jcs } from "./json.ts";
import {
  defaultKdf,
  derivePassphraseKey,
  isBelowFloor,
  type Kdf,
  kdfFromJson,
  kdfToJson,
} from "./kdf.ts";
import {
  type CompanionPin,
  type Keyslots,
  type Slot,
  type SlotKind,
  verifyKeyslots,
} from "./keyslots.ts";
import { canonicalPassphrase, normalizePassphrase } from "./passphrase.ts";
import { openValue, sealValueWithNonce } from "./value.ts";
import { checkVaultKey } from "./vault-keys.ts";
import {
  type UnwrappingProvider,
  unwrapWith,
  type WrappingProvider,
  wrapWith,
} from "./wrapping.ts";

const SECRET_BYTES = 32;

/** What a new slot is made from. Secrets are not changed; the caller zeroes them. */
export type SlotCredential =
  | {
      readonly kind: "passphrase";
      /** As typed or read: it is brought to its one form here, see `normalizePassphrase`. */
      readonly passphrase: Uint8Array;
      /** Default: Argon2id, 64 MiB, 3 passes, 4 lanes. */
      readonly kdf?: Kdf | undefined;
      /** Marks costs below the floor as wanted, so that no opening raises them. Default false. */
      readonly acceptWeakKdf?: boolean | undefined;
      readonly label?: string | undefined;
    }
  | {
      readonly kind: "master-key-file" | "env" | "keyring";
      /** 32 random bytes. */
      readonly key: Uint8Array;
      readonly label?: string | undefined;
    }
  | {
      readonly kind: "recovery";
      /** The 32 bytes that 24 words of BIP-39 stand for. */
      readonly entropy: Uint8Array;
      readonly label?: string | undefined;
    }
  | {
      readonly kind: "provider";
      /** The key URI that is written into the slot. */
      readonly uri: string;
      /** The provider of that key itself; a slot never goes through a composite. */
      readonly provider: WrappingProvider & UnwrappingProvider;
      readonly keyId: string;
      /** The device that the provider speaks to, if it is one. */
      readonly companion?: CompanionPin | undefined;
      readonly label?: string | undefined;
      readonly signal?: AbortSignal | undefined;
    };

/** A slot before the vault key is sealed into it: what the AAD binds, and `companion`, which it does not. */
export type SlotFields = Omit<Slot, "sealed">;

/**
 * Seals the vault key under one credential.
 *
 * @param vaultKey - 32 bytes; not changed.
 * @param vaultId - 16 bytes.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a passphrase shorter than 8 code points, a key that is not 32
 *   bytes long, or a secret or vault key of zeros only; `ERR_UNSUPPORTED` without Argon2, or for a provider that cannot wrap; whatever the provider throws.
 */
export const createSlot = async (
  vaultKey: Uint8Array,
  vaultId: Uint8Array,
  credential: SlotCredential,
): Promise<Slot> => {
  checkVaultKey(vaultKey, vaultId);
  const id = newDataKeyId();
  const base = {
    id: toHex(id),
    kind: credential.kind,
    ...(credential.label === undefined ? {} : { label: credential.label }),
    createdAt: new Date().toISOString(),
  };
  const { slotKey, extra } = await newSlotKey(vaultId, id, credential);
  try {
    // Known to everybody, as what was zeroed too early.
    for (const secret of [vaultKey, secretOf(credential)]) {
      if (secret?.some((byte) => byte !== 0) === false) {
        throw new CryptoError("ERR_INVALID_ARGUMENT", "A secret of zeros opens no vault");
      }
    }
    const nonce = randomBytesFresh(NONCE_BYTES);
    return sealSlot(vaultKey, vaultId, { ...base, ...extra }, slotKey, nonce);
  } finally {
    zero(slotKey);
  }
};

/** What a provider slot is made from is random, and comes into being here. */
const secretOf = (credential: SlotCredential): Uint8Array | undefined => {
  switch (credential.kind) {
    case "passphrase":
      return credential.passphrase;
    case "recovery":
      return credential.entropy;
    case "provider":
      return undefined;
    default:
      return credential.key;
  }
};

interface NewSlotKey {
  readonly slotKey: Bytes;
  readonly extra: Partial<SlotFields>;
}

const newSlotKey = async (
  vaultId: Uint8Array,
  id: Uint8Array,
  credential: SlotCredential,
): Promise<NewSlotKey> => {
  switch (credential.kind) {
    case "passphrase": {
      const kdf = credential.kdf ?? defaultKdf();
      const passphrase = normalizePassphrase(credential.passphrase);
      try {
        const slotKey = await derivePassphraseKey(passphrase, kdf);
        const accepted = credential.acceptWeakKdf === true && isBelowFloor(kdf);
        const extra = { kdf: kdfToJson(kdf), ...(accepted ? { weakKdfAccepted: true } : {}) };
        return { slotKey, extra };
      } finally {
        zero(passphrase);
      }
    }
    case "provider": {
      parseKeyUri(credential.uri);
      const slotKey = randomBytesFresh(SECRET_BYTES);
      const { wrappedKey, keyVersion } = await wrapWith(credential.provider, {
        keyId: credential.keyId,
        key: slotKey,
        aad: wrapAad(vaultId, id),
        signal: credential.signal,
      });
      const { uri, companion } = credential;
      const extra = { uri, keyVersion, wrapped: toBase64(wrappedKey) };
      return { slotKey, extra: companion === undefined ? extra : { ...extra, companion } };
    }
    case "recovery":
      return {
        slotKey: deriveSlotKey(vaultId, id, credential.kind, credential.entropy),
        extra: {},
      };
    default:
      return { slotKey: deriveSlotKey(vaultId, id, credential.kind, credential.key), extra: {} };
  }
};

/** Seals the vault key with a nonce of the caller's. For test vectors; call {@link createSlot}. */
export const sealSlot = (
  vaultKey: Uint8Array,
  vaultId: Uint8Array,
  fields: SlotFields,
  slotKey: Uint8Array,
  nonce: Uint8Array,
): Slot => {
  const key = createDataKey(slotKey, fromHex(fields.id) ?? new Uint8Array());
  const sealed = sealValueWithNonce(key, vaultKey, slotAad(vaultId, fields), nonce);
  key.destroy();
  return { ...fields, sealed: toBase64(sealed) };
};

/**
 * Opens a slot with its credential and checks the MAC of the whole file.
 *
 * A wrong credential costs what the right one costs: the derivation runs to its end, then the commitment is compared.
 *
 * @param secret - By kind: the passphrase as typed or read; the 32 bytes of the recovery words, master key or keyring
 *   entry; for `provider` what {@link unwrapSlotKey} gave. Not changed.
 * @returns The 32-byte vault key; the caller zeroes it.
 * @throws {@link CryptoError} `ERR_WRONG_PASSPHRASE` if the credential, of whatever kind, does not open the slot;
 *   `ERR_INVALID_ARGUMENT` for a key that is not 32 bytes long; `ERR_INTEGRITY` if it opens but the file was altered;
 *   `ERR_UNSUPPORTED` without Argon2.
 */
export const openSlot = async (
  keyslots: Keyslots,
  slot: Slot,
  secret: Uint8Array,
): Promise<Bytes> => {
  const vaultId = fromHex(keyslots.vaultId) ?? new Uint8Array();
  const id = fromHex(slot.id) ?? new Uint8Array();
  const slotKey = await slotKeyOf(vaultId, id, slot, secret);
  const key = createDataKey(slotKey, id);
  zero(slotKey);
  const { sealed, ...fields } = slot;
  const vaultKey = openOrWrong(slot, () =>
    openValue(key, fromBase64(sealed) ?? new Uint8Array(), slotAad(vaultId, fields)),
  );
  key.destroy();
  try {
    verifyKeyslots(vaultKey, keyslots);
    return vaultKey;
  } catch (error) {
    zero(vaultKey);
    throw error;
  }
};

const slotKeyOf = async (
  vaultId: Uint8Array,
  id: Uint8Array,
  slot: Slot,
  secret: Uint8Array,
): Promise<Bytes> => {
  if (slot.kind !== "passphrase") return deriveSlotKey(vaultId, id, slot.kind, secret);
  if (slot.kdf === undefined) {
    throw new CryptoError("ERR_MALFORMED_ENVELOPE", `Slot ${slot.id} has no key derivation`);
  }
  const kdf = kdfFromJson(slot.kdf);
  const passphrase = openingPassphrase(secret);
  try {
    return await derivePassphraseKey(passphrase, kdf);
  } finally {
    zero(passphrase);
  }
};

/** What is no UTF-8 opens nothing; it is derived from all the same, so that it takes as long as the right one. */
const openingPassphrase = (secret: Uint8Array): Bytes => {
  try {
    return canonicalPassphrase(secret);
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    return new Uint8Array(secret);
  }
};

const openOrWrong = (slot: Slot, run: () => Bytes): Bytes => {
  try {
    return run();
  } catch (cause) {
    if (!isCryptoError(cause)) throw cause;
    throw new CryptoError("ERR_WRONG_PASSPHRASE", `${NAMES[slot.kind]} does not open the vault`, {
      context: { operation: "openSlot", keyId: slot.id },
    });
  }
};

const NAMES: Record<SlotKind, string> = {
  passphrase: "The passphrase",
  recovery: "This set of recovery words",
  "master-key-file": "The key in the master-key file",
  env: "The key in the environment",
  keyring: "The key in the keyring",
  provider: "What the provider unwrapped",
};

/**
 * Asks the provider of a `provider` slot for the slot's key, which {@link openSlot} takes.
 *
 * @returns 32 bytes; the caller zeroes them.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a slot of another kind; whatever the provider throws.
 */
export const unwrapSlotKey = (
  keyslots: Keyslots,
  slot: Slot,
  options: {
    readonly provider: UnwrappingProvider;
    readonly keyId: string;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Bytes> => {
  const wrappedKey = fromBase64(slot.wrapped ?? "");
  const { keyVersion } = slot;
  if (slot.kind !== "provider" || wrappedKey === undefined || keyVersion === undefined) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", `Slot ${slot.id} is no provider slot`);
  }
  const vaultId = fromHex(keyslots.vaultId) ?? new Uint8Array();
  const id = fromHex(slot.id) ?? new Uint8Array();
  return unwrapWith(options.provider, {
    keyId: options.keyId,
    keyVersion,
    wrappedKey,
    aad: wrapAad(vaultId, id),
    signal: options.signal,
  });
};

/** The keyring and the provider hold a key made for this slot alone; the other keys may serve elsewhere too. */
const deriveSlotKey = (
  vaultId: Uint8Array,
  id: Uint8Array,
  kind: SlotKind,
  secret: Uint8Array,
): Bytes => {
  if (secret.length !== SECRET_BYTES) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      `${NAMES[kind]} has ${secret.length} bytes, not ${SECRET_BYTES}`,
    );
  }
  return kind === "keyring" || kind === "provider"
    ? new Uint8Array(secret)
    : hkdf(secret, concat(vaultId, id), `lango/v1/slot-key/${kind}`);
};

const slotAad = (vaultId: Uint8Array, fields: SlotFields): Bytes => {
  const { id, kind, companion: _, ...others } = fields;
  return parts(
    utf8("lango/v1/slot"),
    vaultId,
    fromHex(id) ?? new Uint8Array(),
    utf8(kind),
    utf8(jcs(others as unknown as JsonValue)),
  );
};

const wrapAad = (vaultId: Uint8Array, id: Uint8Array): Bytes =>
  parts(utf8("lango/v1/slot-wrap"), vaultId, id);
