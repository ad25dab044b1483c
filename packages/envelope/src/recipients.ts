import { createHmac } from "node:crypto";
import {
  type Bytes,
  bytesEqual,
  CryptoError,
  type CryptoErrorCode,
  decryptionFailed,
  isCryptoError,
  parseKeyUri,
  parts,
  randomBytesFresh,
  utf8,
  zero,
} from "@lango/crypto-core";
import {
  createDataKey,
  DATA_KEY_BYTES,
  type DataKey,
  newDataKeyId,
  subkeysOf,
} from "./data-key.ts";
import type { Prelude } from "./prelude.ts";
import {
  decodeRecipients,
  encodeRecipients,
  MAX_RECIPIENTS,
  type RecipientEntry,
} from "./recipients-header.ts";
import {
  type UnwrappingProvider,
  unwrapWith,
  type WrappingProvider,
  wrapWith,
} from "./wrapping.ts";

/** One key that will be able to open what is sealed. */
export interface Recipient {
  /** The key URI that is written into the header, e.g. `aws-kms:arn:aws:kms:…`. */
  readonly uri: string;
  readonly provider: WrappingProvider;
  /** The provider's own name of the key. */
  readonly keyId: string;
}

/** Where a key URI of a header leads, among what is configured. */
export interface ResolvedRecipient {
  readonly provider: UnwrappingProvider;
  readonly keyId: string;
}

/**
 * Looks a key URI of a header up among the configured providers and keys; `undefined` if it is not one of them. The URI
 * comes from the data: it must never cause an import, a connection or a credential by itself.
 */
export type ResolveRecipient = (
  uri: string,
  keyVersion: string,
) => Promise<ResolvedRecipient | undefined>;

export interface SealOptions {
  /** 1 to 16; any one of them opens what is sealed. */
  readonly recipients: readonly Recipient[];
  /** Authenticated, not stored: pass the same bytes when opening. Absent and empty mean the same. */
  readonly aad?: Uint8Array | undefined;
  /** Ends calls of providers and work on files. A stream that runs is aborted through its pipe. */
  readonly signal?: AbortSignal | undefined;
}

export interface OpenOptions {
  readonly resolve: ResolveRecipient;
  /** The same bytes as when sealing. Absent and empty mean the same. */
  readonly aad?: Uint8Array | undefined;
  /** As in {@link SealOptions}. */
  readonly signal?: AbortSignal | undefined;
}

const NO_AAD = new Uint8Array();

/**
 * The AAD of what is sealed outside a vault: parts("lango/v1/user", the caller's AAD). So it can never be passed off as a
 * record of a vault. {@link seal} and its like apply it themselves.
 */
export const userAad = (aad: Uint8Array = NO_AAD): Bytes => parts(utf8("lango/v1/user"), aad);

/** A data key and the recipients' header that carries it, before the MAC. */
export interface WrappedDataKey {
  readonly key: DataKey;
  readonly recipients: Bytes;
}

/** Makes a data key and wraps it for every recipient; the caller destroys it. */
export const wrapDataKey = async (options: SealOptions): Promise<WrappedDataKey> => {
  const { recipients, signal } = options;
  signal?.throwIfAborted();
  if (recipients.length < 1 || recipients.length > MAX_RECIPIENTS) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      `There are ${recipients.length} recipients, not 1 to ${MAX_RECIPIENTS}`,
    );
  }
  for (const { uri } of recipients) parseKeyUri(uri);
  const material = randomBytesFresh(DATA_KEY_BYTES);
  const key = createDataKey(material, newDataKeyId());
  const aad = wrapAad(key.id, key.commitment);
  try {
    const entries = await Promise.all(
      recipients.map(async ({ uri, provider, keyId }): Promise<RecipientEntry> => {
        const wrapped = await wrapWith(provider, { keyId, key: material, aad, signal });
        return { uri, keyVersion: wrapped.keyVersion, wrappedKey: wrapped.wrappedKey };
      }),
    );
    signal?.throwIfAborted();
    return { key, recipients: encodeRecipients(entries) };
  } catch (error) {
    key.destroy();
    throw error;
  } finally {
    zero(material);
  }
};

// The recipient may be right, it only cannot be asked now.
const UNAVAILABLE: ReadonlySet<CryptoErrorCode> = new Set([
  "ERR_UNAVAILABLE",
  "ERR_TIMEOUT",
  "ERR_CIRCUIT_OPEN",
  "ERR_RATE_LIMITED",
]);

/**
 * Finds the data key: asks the recipients that `resolve` knows, in the order of the header, until one answers.
 *
 * Only a recipient that is unavailable gives way to the next. Every other failure is final: a key that is denied, disabled
 * or does not decrypt is an answer, and going on would be a search for a key that happens to fit.
 */
export const unwrapDataKey = async (prelude: Prelude, options: OpenOptions): Promise<DataKey> => {
  const entries = decodeRecipients(prelude.recipients);
  const { resolve, signal } = options;
  let unavailable: unknown;
  for (const { uri, keyVersion, wrappedKey } of entries) {
    signal?.throwIfAborted();
    const resolved = await resolve(uri, keyVersion);
    if (resolved === undefined) continue;
    try {
      const aad = wrapAad(prelude.dataKeyId, prelude.commitment);
      const { provider, keyId } = resolved;
      const material = await unwrapWith(provider, { keyId, keyVersion, wrappedKey, aad, signal });
      return toDataKey(prelude, material, signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (!isCryptoError(error) || !UNAVAILABLE.has(error.code)) throw error;
      unavailable ??= error;
    }
  }
  if (unavailable !== undefined) throw unavailable;
  throw new CryptoError("ERR_KEY_NOT_FOUND", "None of the recipients is a configured key", {
    context: { operation: "open", hint: `Recipients: ${entries.map(({ uri }) => uri).join(", ")}` },
  });
};

/** Takes an unwrapped key only if it is the one that the header commits to, and the header is what was written. */
const toDataKey = (prelude: Prelude, material: Bytes, signal: AbortSignal | undefined): DataKey => {
  try {
    signal?.throwIfAborted();
    if (material.length !== DATA_KEY_BYTES) {
      throw decryptionFailed("What was unwrapped is no data key");
    }
    const key = createDataKey(material, prelude.dataKeyId);
    if (
      bytesEqual(key.commitment, prelude.commitment) &&
      bytesEqual(recipientsMac(key, prelude.recipients, prelude.header), prelude.mac)
    ) {
      return key;
    }
    key.destroy();
    throw decryptionFailed("The commitment or the MAC does not fit");
  } finally {
    zero(material);
  }
};

/** HMAC-SHA-256(recipients key, LNGR before its MAC ‖ the header that follows). */
export const recipientsMac = (
  key: DataKey,
  recipients: Uint8Array,
  header: Uint8Array,
): Uint8Array =>
  createHmac("sha256", subkeysOf(key).recipients).update(recipients).update(header).digest();

/** Binds a wrapped data key to its id and commitment, where the provider authenticates AAD. */
const wrapAad = (dataKeyId: Uint8Array, commitment: Uint8Array): Bytes =>
  parts(utf8("lango/v1/dek"), dataKeyId, commitment);
