import { CryptoError } from "@lango/crypto-core";

const MAX_DEPTH = 16;

/** The fault of a frame: the channel that it came on is closed. */
export const fault = (what: string): CryptoError =>
  new CryptoError("ERR_UNAVAILABLE", `The other side broke the protocol: ${what}`);

/**
 * Parses JSON with no member twice in an object (RFC 8259 §4 leaves open what that means) and at most 16 levels.
 *
 * Built on `JSON.parse`, which is ten times as fast as a parser of our own: it keeps the last of two equal members, so that
 * there are then fewer members in the value than colons outside of strings in the text.
 *
 * @throws {@link CryptoError} `ERR_UNAVAILABLE`.
 */
export const parseJson = (text: string): unknown => {
  const colons = scan(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Its message quotes the text.
    throw fault("a frame is no JSON");
  }
  if (countMembers(value) !== colons) throw fault("a frame has a member twice");
  return value;
};

const QUOTE = 0x22;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Colons outside of strings. The text need not be JSON. */
const scan = (text: string): number => {
  let colons = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === QUOTE) {
      at = endOfString(text, at);
    } else if (char === COLON) {
      colons++;
    } else if (char === OPEN_OBJECT || char === OPEN_LIST) {
      if (++depth > MAX_DEPTH) throw fault("a frame has too many levels");
    } else if (char === CLOSE_OBJECT || char === CLOSE_LIST) {
      depth--;
    }
  }
  return colons;
};

/** The place of the quote that ends the string which starts at `start`. */
const endOfString = (text: string, start: number): number => {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let before = end - 1;
    while (text.charCodeAt(before) === BACKSLASH) before--;
    if ((end - before) % 2 === 1) return end;
  }
  return text.length;
};

const countMembers = (value: unknown): number => {
  if (typeof value !== "object" || value === null) return 0;
  const inside = Object.values(value);
  let members = Array.isArray(value) ? 0 : inside.length;
  for (const each of inside) members += countMembers(each);
  return members;
};
