import { createHash, createHmac } from "node:crypto";
import {
  type Bytes,
  bytesEqual,
  CryptoError,
  fromHex,
  isCryptoError,
  utf8,
} from "@lango/crypto-core";
import type { InheritedKeys } from "./inherited.ts";
import { type JsonValue, jcs, parseJsonStrict } from "./json.ts";
import type { KdfJson } from "./kdf.ts";
import { checkKeyslots } from "./keyslots-schema.ts";
import { checkVaultKey, deriveSlotFileKey } from "./vault-keys.ts";

/** Largest keyslots file, 256 KiB. */
export const MAX_KEYSLOTS_BYTES: number = 256 * 1024;

/** What opens a slot. */
export type SlotKind =
  | "passphrase"
  | "recovery"
  | "master-key-file"
  | "env"
  | "keyring"
  | "provider";

/** A paired device, as whoever has no key yet has to know it. Nothing of it is secret. */
export interface CompanionPin {
  /** 128 bits in base64url, 22 characters. */
  readonly id: string;
  /** SHA-256 of its public key (SubjectPublicKeyInfo) in base64url, 43 characters. */
  readonly fingerprint: string;
}

/** The vault key, sealed under one credential. */
export interface Slot {
  /** 24 hex characters: the data-key id of `sealed`. */
  readonly id: string;
  readonly kind: SlotKind;
  /** What the owner calls it: 1 to 256 characters. */
  readonly label?: string;
  /** ISO 8601 in UTC with milliseconds. */
  readonly createdAt: string;
  /** Of `passphrase` slots, and only of these. */
  readonly kdf?: KdfJson;
  /** Of `passphrase` slots: whether the owner wants costs below the floor. Otherwise they are raised at an opening. */
  readonly weakKdfAccepted?: boolean;
  /** Key URI, version and wrapped slot key (base64) of `provider` slots, and only of these. */
  readonly uri?: string;
  readonly keyVersion?: string;
  readonly wrapped?: string;
  /**
   * Of `provider` slots: the paired device that holds the key. It changes when that device renews its own key, so the MAC of the
   * file covers it and the AAD of `sealed` does not.
   */
  readonly companion?: CompanionPin;
  /** base64 of LNG1 of the vault key. */
  readonly sealed: string;
}

/** The keyslots file. */
export interface Keyslots {
  readonly version: 1;
  /** 32 hex characters. */
  readonly vaultId: string;
  /** From 1; one more with each change of the file. */
  readonly generation: number;
  /** 1 to 32 slots. */
  readonly slots: readonly Slot[];
  /** Keys of an earlier vault key that go on, if there are any. */
  readonly inherited?: InheritedKeys;
  /** Hex SHA-256 of JCS of all other members: tells damage from a wrong passphrase. */
  readonly sha256: string;
  /** Hex HMAC-SHA-256, under a key from the vault key, of JCS of all members but `mac` and `sha256`. */
  readonly mac: string;
}

/**
 * Reads a keyslots file; checks its checksum and every limit, so that no key derivation runs on what fails here.
 *
 * @throws {@link CryptoError} `ERR_INTEGRITY` for a file that is cut short or damaged; `ERR_MALFORMED_ENVELOPE` with the
 *   path of a member that is missing, unknown or out of range; `ERR_CONFLICT` for a newer version.
 */
export const parseKeyslots = (file: Uint8Array): Keyslots => {
  const keyslots = checkKeyslots(parseFile(file));
  if (keyslots.sha256 !== checksum(keyslots)) {
    throw damaged("its checksum does not fit");
  }
  return keyslots;
};

const parseFile = (file: Uint8Array): JsonValue => {
  try {
    return parseJsonStrict(file, { maxBytes: MAX_KEYSLOTS_BYTES });
  } catch (cause) {
    if (!isCryptoError(cause)) throw cause;
    throw damaged(cause.message, cause);
  }
};

const damaged = (fault: string, cause?: unknown): CryptoError =>
  new CryptoError("ERR_INTEGRITY", `The keyslots file is truncated or damaged: ${fault}`, {
    context: { hint: "Copy keyslots.bak.json over it, or restore it from a backup" },
    cause,
  });

/**
 * Writes a keyslots file: indented JSON, UTF-8, a newline at the end.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for more than 256 KiB.
 */
export const serializeKeyslots = (keyslots: Keyslots): Bytes => {
  const file = utf8(`${JSON.stringify(keyslots, undefined, 2)}\n`);
  if (file.length > MAX_KEYSLOTS_BYTES) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      `The keyslots would have ${file.length} bytes, more than ${MAX_KEYSLOTS_BYTES}`,
    );
  }
  return file;
};

/**
 * Puts a keyslots file together: the MAC under the vault key first, then the checksum over all.
 *
 * @param vaultKey - 32 bytes; not changed.
 * @throws {@link CryptoError} `ERR_MALFORMED_ENVELOPE` with the path of a member that {@link parseKeyslots} would refuse.
 */
export const buildKeyslots = (
  vaultKey: Uint8Array,
  content: Pick<Keyslots, "vaultId" | "generation" | "slots"> & {
    /** Left out of the file when it has no keys. */
    readonly inherited?: InheritedKeys | undefined;
  },
): Keyslots => {
  const { vaultId, generation, slots, inherited = {} } = content;
  const unsigned = {
    ...({ version: 1, vaultId, generation, slots } as const),
    ...(Object.keys(inherited).length === 0 ? {} : { inherited }),
  };
  const signed = { ...unsigned, mac: computeMac(vaultKey, unsigned).toString("hex") };
  const keyslots = { ...signed, sha256: checksum(signed) };
  return checkKeyslots(keyslots as unknown as JsonValue);
};

/**
 * Checks the MAC of a keyslots file: that who wrote it had the vault key.
 *
 * @throws {@link CryptoError} `ERR_INTEGRITY`.
 */
export const verifyKeyslots = (vaultKey: Uint8Array, keyslots: Keyslots): void => {
  const { mac, sha256: _, ...unsigned } = keyslots;
  if (!bytesEqual(computeMac(vaultKey, unsigned), fromHex(mac) ?? new Uint8Array())) {
    throw new CryptoError("ERR_INTEGRITY", "The keyslots file was altered: its MAC does not fit", {
      context: { hint: "Restore keyslots.json from a backup of this vault" },
    });
  }
};

const checksum = (keyslots: Omit<Keyslots, "sha256">): string => {
  const content = { ...keyslots, sha256: undefined } as unknown as JsonValue;
  return createHash("sha256").update(jcs(content)).digest("hex");
};

const computeMac = (vaultKey: Uint8Array, unsigned: Omit<Keyslots, "mac" | "sha256">): Buffer => {
  const vaultId = fromHex(unsigned.vaultId) ?? new Uint8Array();
  checkVaultKey(vaultKey, vaultId);
  return createHmac("sha256", deriveSlotFileKey(vaultKey, vaultId))
    .update(jcs(unsigned as unknown as JsonValue))
    .digest();
};
