/** As long as a common name of a certificate may be (RFC 5280 appendix A.1, ub-common-name). */
const MAX_NAME_CHARACTERS = 64;

/** An ANSI sequence with what follows its ESC: without the ESC alone, its rest would stay as text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const ANSI = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-_])/g;

/** Control, format (bidirectional, zero width), private use, unassigned, surrogate; line and paragraph separators. */
const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]/gu;

/**
 * The name of a device as it may be shown: other devices choose it, so nothing in it may steer a terminal or reorder a line.
 * Control, ANSI, bidirectional and other unseen characters are gone, white space is one space, 64 characters at most.
 *
 * @returns `unnamed` when nothing is left.
 */
export const cleanName = (name: string): string => {
  const visible = name
    .replaceAll(ANSI, " ")
    .replaceAll(/\s/gu, " ")
    .replaceAll(UNSEEN, "")
    .normalize("NFC")
    .replaceAll(/ +/g, " ")
    .trim();
  return Array.from(visible).slice(0, MAX_NAME_CHARACTERS).join("").trim() || "unnamed";
};
