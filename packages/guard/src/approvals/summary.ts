import type { Action } from "./types.ts";

// What a person reads must be what will be done. An argument that could move the cursor, end the line, or turn the direction
// of writing could show something else.

/**
 * What is not shown as itself: control characters (C0, DEL, C1), line and paragraph separators, marks of format and direction
 * (RLO, ZWJ, BOM, tags, …), variation selectors, fillers and the blank of Braille, surrogates, private use, unassigned;
 * all spaces but the common one; and combining marks, which change the letter before them.
 */
const UNSHOWN =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Mn}\p{Me}\p{Default_Ignorable_Code_Point}\u{2800}]|(?! )\p{Zs}/gu;

/** Letters of Hebrew, Arabic and others make a terminal turn the order of what stands beside them. */
const RIGHT_TO_LEFT =
  /[\u{590}-\u{8ff}\u{fb1d}-\u{fdff}\u{fe70}-\u{feff}\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/gu;

/** A longer line would push the others out of sight; with what is said of the cut, at most 1,000 characters. */
const MAX_LINE = 960;
const MAX_ARGUMENTS = 20;

/** A text that is shown as it is: what is not shown as itself becomes `\u{…}`, and a backslash is doubled. */
export const escapeText = (text: string): string => {
  const code = (character: string): string => `\\u{${character.codePointAt(0)?.toString(16)}}`;
  return text.replaceAll("\\", "\\\\").replace(UNSHOWN, code).replace(RIGHT_TO_LEFT, code);
};

/**
 * What a person is shown: a line for each thing that the commitment covers, beginning with its name; what matters most comes last,
 * next to the question. Arguments and argv are JSON, in quotation marks, so that no value can pass for another line or
 * another argument. What is cut off is counted.
 */
export const summarize = (action: Action): readonly string[] => {
  const { tool, secret, destination, binary, argv, cwd, amount, session } = action;
  const line = (name: string, value: string | undefined): string[] =>
    value === undefined ? [] : [shortened(`${name}: ${escapeText(value)}`)];
  const given = Object.entries(action.arguments ?? {});
  const more = given.length - MAX_ARGUMENTS;
  return Object.freeze([
    ...given
      .slice(0, MAX_ARGUMENTS)
      .map(([name, value]) => shortened(`Argument ${quoted(name)}: ${quoted(value)}`)),
    ...(more > 0 ? [`(and ${more} more arguments)`] : []),
    ...line("Session", session),
    ...line("Directory", cwd),
    ...(argv === undefined ? [] : [shortened(`Command line: ${argv.map(quoted).join(" ")}`)]),
    ...line("Program", binary),
    ...line("Amount", amount),
    ...line("Destination", destination),
    ...line("Secret", secret),
    ...line("Tool", tool),
  ]);
};

/** JSON has doubled its backslashes already; its own way to write a character is used for the rest. */
const quoted = (value: unknown): string =>
  JSON.stringify(value).replace(UNSHOWN, jsonEscape).replace(RIGHT_TO_LEFT, jsonEscape);

const jsonEscape = (character: string): string =>
  Array.from(
    { length: character.length },
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`,
  ).join("");

const shortened = (line: string): string =>
  line.length <= MAX_LINE
    ? line
    : `${line.slice(0, MAX_LINE).toWellFormed()} (and ${line.length - MAX_LINE} more characters)`;
