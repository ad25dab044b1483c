import {
  type Bytes,
  CryptoError,
  concat,
  isCryptoError,
  parseKeyUri,
  utf8,
} from "@lango/crypto-core";

// LNGR: "LNGR" ‖ u8 count ‖ u32 length of the entries ‖ entries ‖ HMAC-SHA-256, then LNG1 or LNGS. An entry:
// u16 length ‖ key URI ‖ u16 length ‖ key version ‖ u32 length ‖ wrapped data key.
const MAGIC = Uint8Array.of(0x4c, 0x4e, 0x47, 0x52);
/** Magic, count and length. */
export const RECIPIENTS_PREFIX_BYTES = 9;
export const MAC_BYTES = 32;
export const MAX_RECIPIENTS = 16;
const MAX_ENTRIES_BYTES = 64 * 1024;
const CONTROL = /\p{Cc}/u;

/** One recipient as the header holds it. */
export interface RecipientEntry {
  readonly uri: string;
  readonly keyVersion: string;
  readonly wrappedKey: Uint8Array;
}

/**
 * Writes everything of LNGR before the MAC.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for no or more than 16 recipients, one that is named twice, an
 *   ill-formed key URI, or more than 64 KiB.
 */
export const encodeRecipients = (entries: readonly RecipientEntry[]): Bytes => {
  const fault = faultOf(entries);
  if (fault !== undefined) throw new CryptoError("ERR_INVALID_ARGUMENT", fault);
  const body = concat(
    ...entries.flatMap(({ uri, keyVersion, wrappedKey }) => [
      ...prefixed(2, utf8(uri)),
      ...prefixed(2, utf8(keyVersion)),
      ...prefixed(4, wrappedKey),
    ]),
  );
  if (body.length > MAX_ENTRIES_BYTES) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      `The recipients take ${body.length} bytes, more than ${MAX_ENTRIES_BYTES}`,
    );
  }
  return concat(MAGIC, Uint8Array.of(entries.length), ...prefixed(4, body));
};

const prefixed = (width: 2 | 4, bytes: Uint8Array): [Bytes, Uint8Array] => {
  const length = new Uint8Array(width);
  const view = new DataView(length.buffer);
  if (width === 2) view.setUint16(0, bytes.length);
  else view.setUint32(0, bytes.length);
  return [length, bytes];
};

/**
 * The length of the entries.
 *
 * @param bytes - At least the first 9 bytes.
 * @throws {@link CryptoError} `ERR_MALFORMED_ENVELOPE` if this is no LNGR or a limit is passed.
 */
export const readEntriesLength = (bytes: Uint8Array): number => {
  for (let i = 0; i < MAGIC.length; i++) {
    if (bytes[i] !== MAGIC[i]) throw malformed(`does not begin with LNGR (byte ${i})`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const count = view.getUint8(MAGIC.length);
  const length = view.getUint32(MAGIC.length + 1);
  if (count < 1 || count > MAX_RECIPIENTS) throw malformed(`has ${count} recipients, not 1 to 16`);
  if (length > MAX_ENTRIES_BYTES) throw malformed(`has ${length} bytes of recipients`);
  return length;
};

/**
 * Reads the recipients; checks every limit, so that no key is used on what fails here.
 *
 * @param bytes - Everything before the MAC.
 * @throws {@link CryptoError} `ERR_MALFORMED_ENVELOPE`.
 */
export const decodeRecipients = (bytes: Uint8Array): RecipientEntry[] => {
  const end = RECIPIENTS_PREFIX_BYTES + readEntriesLength(bytes);
  if (bytes.length !== end) throw malformed("is cut short in its recipients");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let offset = RECIPIENTS_PREFIX_BYTES;
  const take = (width: 2 | 4): Uint8Array => {
    if (offset + width > end) throw malformed("has an entry that is cut short");
    const length = width === 2 ? view.getUint16(offset) : view.getUint32(offset);
    offset += width;
    if (length > end - offset) throw malformed("has an entry that is cut short");
    offset += length;
    return bytes.subarray(offset - length, offset);
  };
  const entries = Array.from({ length: view.getUint8(MAGIC.length) }, () => ({
    uri: decodeUtf8(take(2)),
    keyVersion: decodeUtf8(take(2)),
    wrappedKey: new Uint8Array(take(4)),
  }));
  if (offset !== end) throw malformed("has bytes after its last recipient");
  const fault = faultOf(entries);
  if (fault !== undefined) throw malformed(`is not valid: ${fault}`);
  return entries;
};

/** What must hold of a list of recipients on either side. */
const faultOf = (entries: readonly RecipientEntry[]): string | undefined => {
  if (entries.length < 1 || entries.length > MAX_RECIPIENTS) {
    return `There are ${entries.length} recipients, not 1 to ${MAX_RECIPIENTS}`;
  }
  if (new Set(entries.map(({ uri }) => uri)).size < entries.length) {
    return "A recipient is named twice";
  }
  for (const { uri, keyVersion, wrappedKey } of entries) {
    try {
      parseKeyUri(uri);
    } catch (error) {
      if (isCryptoError(error)) return error.message;
      throw error;
    }
    if (CONTROL.test(keyVersion)) return "A key version has a control character";
    if (wrappedKey.length === 0) return "A wrapped data key is empty";
  }
  return undefined;
};

const decodeUtf8 = (bytes: Uint8Array): string => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed("has text that is not UTF-8");
  }
};

const malformed = (fault: string): CryptoError =>
  new CryptoError("ERR_MALFORMED_ENVELOPE", `The sealed message ${fault}`);
