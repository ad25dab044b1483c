import { randomBytes } from "node:crypto";
import { type Bytes, CryptoError, toPlain } from "@lango/crypto-core";

const CODE_BYTES = 16;
const CHARACTERS = 26;
const GROUP = 5;
/** Crockford's base32: no I, L, O, U. */
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/** What people read for what it looks like. */
const LOOKALIKES: Readonly<Record<string, string>> = { O: "0", I: "1", L: "1" };

/** A new one-time code: 128 random bits. */
export const newCode = (): Bytes => toPlain(randomBytes(CODE_BYTES));

/**
 * A code for people: 26 characters of Crockford's base32, most significant first, in groups of five and a last one of six. The
 * first character is 0 to 7, since 26 characters hold 130 bits.
 *
 * @param code - 16 bytes.
 */
export const formatCode = (code: Uint8Array): string => {
  let rest = code.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  let text = "";
  for (let index = 0; index < CHARACTERS; index += 1) {
    text = ALPHABET[Number(rest & 31n)] + text;
    rest >>= 5n;
  }
  const groups = [0, 1, 2, 3].map((group) => text.slice(group * GROUP, (group + 1) * GROUP));
  return [...groups, text.slice(4 * GROUP)].join("-");
};

/**
 * Reads a code as a person typed it: any case, spaces and dashes anywhere, O for 0, I and L for 1.
 *
 * @returns 16 bytes; the caller zeroes them.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT`, which does not repeat what was typed.
 */
export const parseCode = (text: string): Bytes => {
  const typed = text.toUpperCase().replaceAll(/[\s-]/g, "");
  if (typed.length !== CHARACTERS) throw noCode(`it has ${typed.length} characters`);
  let value = 0n;
  for (const character of typed) {
    const digit = ALPHABET.indexOf(LOOKALIKES[character] ?? character);
    if (digit < 0) throw noCode("it has a character that codes do not have");
    value = (value << 5n) | BigInt(digit);
  }
  if (value >> 128n !== 0n) throw noCode("it begins with a character above 7");
  const code = new Uint8Array(CODE_BYTES);
  for (let index = CODE_BYTES - 1; index >= 0; index -= 1) {
    code[index] = Number(value & 0xffn);
    value >>= 8n;
  }
  return code;
};

const noCode = (why: string): CryptoError =>
  new CryptoError("ERR_INVALID_ARGUMENT", `This is no pairing code: ${why}`, {
    context: { hint: `Type the ${CHARACTERS} letters and digits that the other device shows` },
  });
