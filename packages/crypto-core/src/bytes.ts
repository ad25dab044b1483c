import { CryptoError } from "./errors.ts";
import { nodeCrypto } from "./node-crypto.ts";
import type { Bytes } from "./provider.ts";

const encoder = new TextEncoder();

/**
 * The UTF-8 bytes of a string.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a lone surrogate: an encoder replaces it by U+FFFD, and two
 *   different names would then have the same bytes.
 */
export const utf8 = (text: string): Bytes => {
  checkWellFormed(text);
  return toPlain(encoder.encode(text));
};

const checkWellFormed = (text: string): void => {
  if (text.isWellFormed()) return;
  throw new CryptoError("ERR_INVALID_ARGUMENT", "Text is not valid Unicode: a lone surrogate");
};

/** The parts one after another, in new memory. */
export const concat = (...parts: readonly Uint8Array[]): Bytes => {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
};

/**
 * Joins byte strings and texts (UTF-8) so that no two lists give the same bytes: u32 count ‖ (u32 length ‖ bytes)*, big-endian.
 *
 * @returns `4 + Σ (4 + length)` bytes.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for a text that {@link utf8} refuses.
 */
export const parts = (...items: readonly (Uint8Array | string)[]): Bytes => {
  let length = 4;
  for (const item of items) length += 4 + byteLength(item);
  const out = new Uint8Array(length);
  // It writes texts in place; encoding each into memory of its own would double the time, and this runs at every read of a secret.
  const writer = Buffer.from(out.buffer);
  let offset = writer.writeUInt32BE(items.length);
  for (const item of items) {
    const start = offset + 4;
    if (typeof item === "string") offset = start + writer.write(item, start);
    else {
      out.set(item, start);
      offset = start + item.length;
    }
    writer.writeUInt32BE(offset - start, start - 4);
  }
  return out;
};

const byteLength = (item: Uint8Array | string): number => {
  if (typeof item !== "string") return item.length;
  checkWellFormed(item);
  return Buffer.byteLength(item);
};

/** Compares two byte strings in a time that depends on their lengths only. Different lengths: `false`. */
export const bytesEqual = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && nodeCrypto().timingSafeEqual(a, b);

/** Overwrites secrets with zeros; call it as soon as they are not needed. `undefined` is skipped. */
export const zero = (...secrets: readonly (Uint8Array | undefined)[]): void => {
  for (const secret of secrets) secret?.fill(0);
};

/**
 * The same bytes as a plain `Uint8Array` that shares no memory with others: a view of the same memory when the
 * argument is all there is in its buffer, a copy otherwise (`Buffer`s of Node come from a pool that other code reads).
 */
export const toPlain = (bytes: Uint8Array): Bytes => {
  const { buffer, byteLength } = bytes;
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength
    ? new Uint8Array(buffer)
    : new Uint8Array(bytes);
};

/** Tells whether a value is a `Uint8Array`, also one of another realm (`instanceof` fails there) and a `Buffer`. */
export const isBytes = (value: unknown): value is Uint8Array =>
  ArrayBuffer.isView(value) && (value as Partial<Uint8Array>)[Symbol.toStringTag] === "Uint8Array";

type Encoding = "hex" | "base64" | "base64url";

const encode = (bytes: Uint8Array, encoding: Encoding): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encoding);

/** Decodes into memory of its own: `Buffer.from(text)` would leave a secret in Node's shared pool. */
const decode = (text: string, encoding: Encoding, length: number): Bytes => {
  const out = new Uint8Array(length);
  Buffer.from(out.buffer).write(text, encoding);
  return out;
};

/** Lower-case hexadecimal. */
export const toHex = (bytes: Uint8Array): string => encode(bytes, "hex");

/** Base64 with padding (RFC 4648 §4). */
export const toBase64 = (bytes: Uint8Array): string => encode(bytes, "base64");

/** Base64url without padding (RFC 4648 §5). */
export const toBase64Url = (bytes: Uint8Array): string => encode(bytes, "base64url");

// Node's decoders skip what they do not know. Strict means here: encoding the result gives the text again, so that
// each byte string has one text. `undefined` and no error, because only the caller knows whether the text was an
// argument, a setting or a stored file.

/** Decodes hexadecimal in either case; `undefined` for anything else. */
export const fromHex = (text: string): Bytes | undefined => {
  const bytes = decode(text, "hex", text.length >>> 1);
  return toHex(bytes) === text.toLowerCase() ? bytes : undefined;
};

/** Decodes base64 with its padding; `undefined` for white space, missing padding, or stray bits at the end. */
export const fromBase64 = (text: string): Bytes | undefined => {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = decode(text, "base64", ((text.length - padding) * 3) >>> 2);
  return toBase64(bytes) === text ? bytes : undefined;
};

/** Decodes base64url without padding; `undefined` for white space, padding, or stray bits at the end. */
export const fromBase64Url = (text: string): Bytes | undefined => {
  const bytes = decode(text, "base64url", (text.length * 3) >>> 2);
  return toBase64Url(bytes) === text ? bytes : undefined;
};
