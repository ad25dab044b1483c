import { createSecretKey, type KeyObject } from "node:crypto";
import { type Bytes, CryptoError, createAesKey, randomBytesFresh, zero } from "@lango/crypto-core";
import { hkdf } from "./encoding.ts";

export const DATA_KEY_BYTES = 32;
export const DATA_KEY_ID_BYTES = 12;
export const COMMITMENT_BYTES = 32;

/** A data key in use: its subkeys are derived, its 32 bytes are in the hands of `node:crypto`. */
export interface DataKey {
  /** The 12 bytes that name it in headers. */
  readonly id: Bytes;
  /** 32 public bytes that fit this key and no other (`lango/v1/commit`). */
  readonly commitment: Bytes;
  /** Drops the key; every later use throws `ERR_CLOSED`. Idempotent. */
  destroy(): void;
}

/** What the formats use of a data key; handed out of this package to nobody but another thread. */
export interface Subkeys {
  /** id ‖ commitment, the 44 bytes that every header repeats. */
  readonly identity: Bytes;
  /** AES key of LNG1. */
  readonly value: KeyObject;
  /** HMAC key of the recipients' header. */
  readonly recipients: KeyObject;
  /** The data key itself, from which each stream derives a key of its own. */
  readonly root: KeyObject;
}

// Here and not on the object, so that whoever holds a DataKey (or prints one) holds no key material.
const live = new WeakMap<DataKey, Subkeys>();

/**
 * Derives the subkeys of a data key, once: HKDF-SHA-256(key, salt = id, info), RFC 5869.
 *
 * @param material - 32 bytes. They are copied: the caller zeroes them.
 * @param id - 12 bytes, copied.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for another length.
 */
export const createDataKey = (material: Uint8Array, id: Uint8Array): DataKey => {
  if (material.length !== DATA_KEY_BYTES || id.length !== DATA_KEY_ID_BYTES) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      `A data key has 32 bytes and an id of 12, not ${material.length} and ${id.length}`,
    );
  }
  const commitment = hkdf(material, id, "lango/v1/commit");
  const identity = new Uint8Array(DATA_KEY_ID_BYTES + COMMITMENT_BYTES);
  identity.set(id);
  identity.set(commitment, DATA_KEY_ID_BYTES);
  return withSubkeys({
    identity,
    value: subkey(material, id, "lango/v1/value", createAesKey),
    recipients: subkey(material, id, "lango/v1/recipients", createSecretKey),
    root: createSecretKey(material),
  });
};

const withSubkeys = (subkeys: Subkeys): DataKey => {
  const key: DataKey = {
    id: subkeys.identity.slice(0, DATA_KEY_ID_BYTES),
    commitment: subkeys.identity.slice(DATA_KEY_ID_BYTES),
    destroy: () => {
      live.delete(key);
    },
  };
  live.set(key, subkeys);
  return key;
};

const subkey = (
  material: Uint8Array,
  id: Uint8Array,
  info: string,
  create: (bytes: Bytes) => KeyObject,
): KeyObject => {
  const bytes = hkdf(material, id, info);
  const key = create(bytes);
  zero(bytes);
  return key;
};

/** A data key on its way to another thread of this process, by `postMessage`: its keys go by reference, not a byte is copied. */
export type SentDataKey = Subkeys;

/** @throws {@link CryptoError} `ERR_CLOSED` after `destroy`. */
export const sendDataKey = (key: DataKey): SentDataKey => subkeysOf(key);

/** The data key of {@link sendDataKey}, in the thread that it was sent to. */
export const receiveDataKey = (sent: SentDataKey): DataKey => withSubkeys(sent);

/** A new id for a data key: 12 random bytes. */
export const newDataKeyId = (): Bytes => randomBytesFresh(DATA_KEY_ID_BYTES);

/** @throws {@link CryptoError} `ERR_CLOSED` after `destroy`. */
export const subkeysOf = (key: DataKey): Subkeys => {
  const subkeys = live.get(key);
  if (subkeys === undefined) throw new CryptoError("ERR_CLOSED", "The data key was destroyed");
  return subkeys;
};
