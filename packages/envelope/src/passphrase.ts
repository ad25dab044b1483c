import { type Bytes, CryptoError, utf8 } from "@lango/crypto-core";

const MIN_CODE_POINTS = 8;

/**
 * Brings a passphrase to the one form that is derived from: valid UTF-8, NFC (Unicode Annex 15), without one trailing
 * newline (LF or CRLF), at least 8 code points.
 *
 * @param raw - Bytes as typed or read; not changed. The caller zeroes them.
 * @returns Bytes of their own; the caller zeroes them.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` naming the number of code points, or that it is no UTF-8.
 */
export const normalizePassphrase = (raw: Uint8Array): Bytes => {
  const passphrase = canonicalPassphrase(raw);
  let codePoints = 0;
  // Every byte but a continuation byte (10xxxxxx) begins a code point (RFC 3629 §3).
  for (const byte of passphrase) if ((byte & 0xc0) !== 0x80) codePoints += 1;
  if (codePoints < MIN_CODE_POINTS) {
    passphrase.fill(0);
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      `The passphrase has ${codePoints} characters; it needs at least ${MIN_CODE_POINTS}`,
    );
  }
  return passphrase;
};

/** {@link normalizePassphrase} without the least length: a slot is opened with whatever it was made with. */
export const canonicalPassphrase = (raw: Uint8Array): Bytes => {
  // A copy in any case: `slice` of a Buffer would share the caller's memory.
  const trimmed = new Uint8Array(raw.subarray(0, raw.length - newlineBytes(raw)));
  // A string cannot be zeroed, so one is made only where NFC can change something.
  if (trimmed.every((byte) => byte < 0x80)) return trimmed;
  try {
    return utf8(
      new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(trimmed).normalize("NFC"),
    );
  } catch {
    throw new CryptoError("ERR_INVALID_ARGUMENT", "The passphrase is not valid UTF-8");
  } finally {
    trimmed.fill(0);
  }
};

const newlineBytes = (raw: Uint8Array): 0 | 1 | 2 => {
  if (raw.at(-1) !== 0x0a) return 0;
  return raw.at(-2) === 0x0d ? 2 : 1;
};
