import { type Bytes, CryptoError, fromBase64, fromHex, toHex } from "@lango/crypto-core";
import { withoutFinalNewline } from "./source.ts";

/** Length of a master key in bytes. */
const KEY_BYTES = 32;

/** Keys that stand in documentation and test vectors, as hex. */
const EXAMPLE_KEYS: readonly string[] = [
  // The example output of OCMT's page on secret management.
  "a1b2c3d4e5f6789012345678901234567890abcdef1234567890abcdef123456",
  // FIPS 197 appendix C.3 and RFC 3394 §4.
  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
  "1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100",
  "0123456789abcdeffedcba9876543210".repeat(2),
];

/** Keys that people type, such as `deadbeef…`, `0123456789abcdef…` or one byte, repeat this many bytes or fewer. */
const MAX_PATTERN_BYTES = 8;

/**
 * Reads a master key: exactly 64 hexadecimal characters, or strict base64 (padded, standard alphabet) of 32 bytes.
 * One line ending at the end is allowed.
 *
 * @param text - The characters as bytes; not changed.
 * @param source - How the error names the key. Default `The master key`.
 * @returns 32 bytes; the caller zeroes them.
 * @throws CryptoError `ERR_CONFIG` saying how many characters of which classes were found, never which; also for
 *   a pattern of up to 8 bytes that repeats, all zeros among them, and for keys known from documentation.
 */
export function parseMasterKey(text: Uint8Array, source = "The master key"): Bytes {
  const line = withoutFinalNewline(text);
  // A string cannot be zeroed; it lives until the next collection, as one from the environment does anyway.
  const characters = Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString("latin1");
  const key = line.length === 2 * KEY_BYTES ? fromHex(characters) : fromBase64(characters);
  if (key?.length !== KEY_BYTES) throw notAKey(line, source);
  if (isPattern(key) || EXAMPLE_KEYS.includes(toHex(key))) {
    key.fill(0);
    throw new CryptoError(
      "ERR_CONFIG",
      `${source} is all zeros, a short pattern that repeats, or a key known from documentation`,
      {
        context: { hint: GENERATE },
      },
    );
  }
  return key;
}

/**
 * Reads a key as {@link parseMasterKey}, but hexadecimal in small letters only, as the programs take it that share
 * `ENCRYPTION_KEY` with Lango.
 */
export function parseEncryptionKey(text: Uint8Array, source: string): Bytes {
  const key = parseMasterKey(text, source);
  const line = withoutFinalNewline(text);
  if (line.length !== 2 * KEY_BYTES || !line.some((c) => c >= 0x41 && c <= 0x5a)) return key;
  key.fill(0);
  throw new CryptoError("ERR_CONFIG", `${source} has capital letters among its hexadecimal`, {
    context: { hint: "Write it in small letters: it stays the same key" },
  });
}

/** Parses a key and zeroes its text. @param parse - Default {@link parseMasterKey}. */
export function parseAndZero(
  text: Bytes,
  source: string,
  parse: (text: Uint8Array, source: string) => Bytes = parseMasterKey,
): Bytes {
  try {
    return parse(text, source);
  } finally {
    text.fill(0);
  }
}

const isPattern = (key: Uint8Array): boolean =>
  Array.from({ length: MAX_PATTERN_BYTES }, (_, index) => index + 1).some((period) =>
    key.every((byte, at) => byte === key[at % period]),
  );

const isDigit = (c: number): boolean => c >= 0x30 && c <= 0x39;
const isLetter = (c: number): boolean => (c >= 0x41 && c <= 0x5a) || (c >= 0x61 && c <= 0x7a);

const GENERATE = "Make one with: openssl rand -hex 32";

function notAKey(line: Uint8Array, source: string): CryptoError {
  const problem = `${source} is not 64 hexadecimal characters or base64 of 32 bytes: found ${describe(line)}`;
  const trap =
    line.length === KEY_BYTES && line.every((byte) => byte > 0x20 && byte < 0x7f)
      ? "; 32 characters are 32 bytes only to a program that takes the text itself for the key, and such a key holds far fewer than 256 random bits (128 if they are hexadecimal), so Lango does not"
      : isOddHex(line)
        ? "; an odd number of hexadecimal characters, so one is missing or too many"
        : "";
  return new CryptoError("ERR_CONFIG", problem + trap, { context: { hint: GENERATE } });
}

const isOddHex = (line: Uint8Array): boolean =>
  line.length % 2 === 1 &&
  line.every((c) => isDigit(c) || (c >= 0x41 && c <= 0x46) || (c >= 0x61 && c <= 0x66));

const CLASSES: readonly (readonly [string, (byte: number) => boolean])[] = [
  ["digits", isDigit],
  ["letters", isLetter],
  ["spaces", (byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)],
  ["quotes", (byte) => byte === 0x22 || byte === 0x27],
];

/** Length and classes of characters; nothing else of a key may be shown. */
function describe(line: Uint8Array): string {
  if (line.length === 0) return "nothing";
  if (line.some((byte) => byte > 0x7e || (byte < 0x20 && !(byte >= 0x09 && byte <= 0x0d)))) {
    return `${line.length} bytes that are not plain text`;
  }
  const present = CLASSES.filter(([, test]) => line.some(test)).map(([name]) => name);
  if (line.some((byte) => !CLASSES.some(([, test]) => test(byte)))) present.push("punctuation");
  return `${line.length} character${line.length === 1 ? "" : "s"} (${present.join(", ")})`;
}
