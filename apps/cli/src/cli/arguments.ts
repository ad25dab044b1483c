import { parseArgs } from "node:util";
import { CryptoError } from "@lango/crypto-core";
import type { CommandRow, Option } from "./command.ts";
import { commandOptions, GLOBAL_OPTIONS } from "./options.ts";
import { counted } from "./output.ts";
import { suggest } from "./suggest.ts";

/** What was typed for one command, checked against its row of the table. */
export interface Arguments {
  flag(option: string): boolean;
  string(option: string): string | undefined;
  strings(option: string): readonly string[];
  /** A whole number of at least `least`, which is 1 by default. */
  number(option: string, least?: number): number | undefined;
  /** By the name in the table. */
  positional(name: string): string;
  optional(name: string): string | undefined;
  /** The words after the positionals, of a command that takes any number. */
  readonly words: readonly string[];
  /** The words after `--`. */
  readonly trailing: readonly string[];
}

const commandLine = ({ path }: CommandRow): string => `lango ${path}`.trim();

export const usageError = (message: string, hint?: string): CryptoError =>
  new CryptoError("ERR_INVALID_ARGUMENT", message, hint === undefined ? {} : { context: { hint } });

/**
 * Parses the words that follow a command's path.
 *
 * @throws CryptoError `ERR_INVALID_ARGUMENT` for an unknown, repeated or incomplete option and for a wrong number of words.
 */
export function parseArguments(command: CommandRow, words: readonly string[]): Arguments {
  const known: Readonly<Record<string, Option>> = { ...GLOBAL_OPTIONS, ...commandOptions(command) };
  const help = `Run "${commandLine(command)} --help"`;
  // Not strict: its own messages would not fit ours, so the tokens are checked here.
  const { tokens } = parseArgs({
    args: [...words],
    options: Object.fromEntries(
      Object.entries(known).map(([name, { type, short }]) => [
        name,
        { type, multiple: true, ...(short === undefined ? {} : { short }) },
      ]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const end = tokens.findIndex(({ kind }) => kind === "option-terminator");
  const noTrailing = `"${commandLine(command)}" needs "-- ${command.trailing}" at the end`;
  if (command.trailing !== undefined && end === -1) {
    // Before the options are looked at: they may be those of the command that it shall run.
    if (tokens.some(({ kind }) => kind === "positional")) {
      throw usageError(noTrailing, "Put -- before the command");
    }
  }
  const given = new Map<string, string[]>();
  const positionals: string[] = [];
  const trailing: string[] = [];
  for (const [position, token] of tokens.entries()) {
    if (token.kind === "option") {
      const values = given.get(token.name) ?? [];
      given.set(token.name, [...values, checkOption(known, token, values.length, help)]);
    } else if (token.kind === "positional") {
      const isTrailing = command.trailing !== undefined && end !== -1 && position > end;
      (isTrailing ? trailing : positionals).push(token.value);
    }
  }
  if (command.trailing !== undefined && trailing.length === 0) {
    throw usageError(noTrailing, help);
  }
  const matched = matchPositionals(command, positionals, help);
  const rest = positionals.slice(command.positionals?.length ?? 0);
  return toArguments(command, known, given, matched, rest, trailing);
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

function checkOption(
  known: Readonly<Record<string, Option>>,
  token: OptionToken,
  timesBefore: number,
  help: string,
): string {
  const { name, rawName, value, inlineValue } = token;
  const option = Object.hasOwn(known, name) ? known[name] : undefined;
  if (option === undefined) {
    const near = suggest(name, Object.keys(known));
    throw usageError(`Unknown option ${rawName}`, near ? `Did you mean --${near}?` : help);
  }
  if (timesBefore > 0 && option.type === "string" && !option.multiple) {
    throw usageError(`${rawName} is given more than once`, help);
  }
  if (option.type === "boolean") {
    if (value !== undefined) {
      throw usageError(`${rawName} takes no value`, help);
    }
    return "";
  }
  if (value === undefined || (!inlineValue && value.length > 1 && value.startsWith("-"))) {
    throw usageError(
      `${rawName} needs a value`,
      value === undefined ? help : `Write ${rawName}=${value} if that is the value`,
    );
  }
  if (option.choices !== undefined && !option.choices.includes(value)) {
    throw usageError(`${rawName} must be one of ${option.choices.join(", ")}`, help);
  }
  return value;
}

function matchPositionals(
  command: CommandRow,
  found: readonly string[],
  help: string,
): ReadonlyMap<string, string> {
  const expected = command.positionals ?? [];
  const missing = expected.find(({ optional }, i) => !optional && i >= found.length);
  if (missing !== undefined) {
    throw usageError(`"${commandLine(command)}" needs ${missing.name}`, help);
  }
  if (found.length > expected.length && command.words === undefined) {
    // The word itself may be a secret that was pasted by mistake: it is counted, not shown.
    throw usageError(
      `"${commandLine(command)}" takes ${expected.length === 0 ? "no words" : counted(expected.length, "word")}, ${found.length} ${found.length === 1 ? "was" : "were"} given`,
      Object.hasOwn(commandOptions(command), "in") ? "Did you mean --in FILE?" : help,
    );
  }
  return new Map(expected.flatMap(({ name }, i) => (i < found.length ? [[name, found[i]!]] : [])));
}

function toArguments(
  command: CommandRow,
  known: Readonly<Record<string, Option>>,
  given: ReadonlyMap<string, readonly string[]>,
  positionals: ReadonlyMap<string, string>,
  rest: readonly string[],
  trailing: readonly string[],
): Arguments {
  // A command that asks for an option that its row does not declare is a bug, not an absent option.
  const values = (option: string): readonly string[] => {
    if (!Object.hasOwn(known, option)) {
      throw new CryptoError("ERR_INTERNAL", `"${command.path}" does not declare --${option}`);
    }
    return given.get(option) ?? [];
  };
  return {
    flag: (option) => values(option).length > 0,
    string: (option) => values(option)[0],
    strings: values,
    number(option, least = 1) {
      const text = values(option)[0];
      if (text === undefined) {
        return undefined;
      }
      if (!/^[0-9]{1,15}$/.test(text) || Number(text) < least) {
        throw usageError(`--${option} must be a whole number of at least ${least}`);
      }
      return Number(text);
    },
    positional: (name) => positionals.get(name)!,
    optional: (name) => positionals.get(name),
    words: rest,
    trailing,
  };
}
