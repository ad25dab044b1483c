import { toHex } from "@lango/crypto-core";
import { sha256 } from "./hash.ts";

/** Characters of a text that are shown; the hash stands for the rest. */
const SHOWN = 1000;

// Controls, formats (bidirectional ones among them), surrogates, private use and unassigned; separators of lines and
// paragraphs; every space but the plain one; what is drawn as nothing; and the backslash itself, so that an escape cannot be faked.
const UNSAFE = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\\]|(?! )\p{Zs}/gu;

/** The text on one line, with everything that could change how a terminal shows it written as `\u{…}`. */
export const escapeText = (text: string): string =>
  text.replace(UNSAFE, (character) =>
    character === "\\" ? "\\\\" : `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );

export const sizeAndHash = (what: string, bytes: Uint8Array): string =>
  `${what}: ${bytes.length} byte${bytes.length === 1 ? "" : "s"}, SHA-256 ${toHex(sha256(bytes))}`;

/** The size and hash of some bytes, and what they say when they are UTF-8. */
export const describeBytes = (what: string, bytes: Uint8Array): string[] => {
  const text = textOf(bytes);
  const line = sizeAndHash(what, bytes);
  return text === undefined ? [line] : [line, `It says: ${shorten(text)}`];
};

const shorten = (text: string): string => {
  const more = text.length - SHOWN;
  return escapeText(text.slice(0, SHOWN)) + (more > 0 ? ` … and ${more} more characters` : "");
};

const textOf = (bytes: Uint8Array): string | undefined => {
  if (bytes.length === 0) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
};
