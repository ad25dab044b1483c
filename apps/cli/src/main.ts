import type { Arguments } from "./cli/arguments.ts";
import { parseArguments, usageError } from "./cli/arguments.ts";
import { checkVariables } from "./cli/check-variables.ts";
import { createPaint } from "./cli/color.ts";
import type { Command, CommandRow, Result } from "./cli/command.ts";
import { createContext } from "./cli/context.ts";
import { checkDescriptors } from "./cli/descriptors.ts";
import { endRestore } from "./cli/end-restore.ts";
import { type FailureStyle, isInterrupted, reportFailure } from "./cli/failure.ts";
import { commandHelp, groupHelp } from "./cli/help.ts";
import { writeAll, writeJson } from "./cli/output.ts";
import { restrictProcess } from "./cli/process.ts";
import { children, type Resolved, resolve } from "./cli/resolve.ts";
import { COMMANDS } from "./table/index.ts";
import { readVersion } from "./version.ts";

/** Words that people type where an option is meant. */
const WORDS: Readonly<Record<string, string>> = { help: "--help", version: "--version" };

/**
 * Runs one command line and prints what comes of it.
 *
 * @param typed - The words after the program's name.
 * @returns The exit status.
 */
export async function main(typed: readonly string[]): Promise<number> {
  const umask = restrictProcess();
  const [word = "", ...others] = typed;
  const argv = Object.hasOwn(WORDS, word) ? [...others, WORDS[word]!] : typed;
  // Wanted before anything is parsed: a wrong command line is reported in the asked form too.
  const own = argv.slice(0, argv.includes("--") ? argv.indexOf("--") : argv.length);
  const style: FailureStyle = {
    json: own.includes("--json"),
    debug: own.includes("--debug"),
    paint: createPaint(colorOption(own), process.env),
  };
  let failureExit: number | undefined;
  try {
    const resolved = resolve(COMMANDS, argv);
    if (own.includes("--help") || own.includes("-h")) {
      const help = helpOf(resolved);
      return print({ data: { help }, text: help }, style);
    }
    if ("group" in resolved) {
      return print(runGroup(resolved.group, resolved.words), style);
    }
    failureExit = resolved.command.failureExit;
    return print(await runCommand(resolved.command, resolved.words, style, umask), style);
  } catch (error) {
    const exit = reportFailure(error, style);
    return isInterrupted(error) ? exit : (failureExit ?? exit);
  }
}

function helpOf(resolved: Resolved): string {
  if ("group" in resolved) return groupHelp(COMMANDS, resolved.group);
  const { command } = resolved;
  const isGroup = children(COMMANDS, command.path).length > 0;
  return isGroup ? groupHelp(COMMANDS, command.path) : commandHelp(command);
}

async function runCommand(
  command: Command,
  words: readonly string[],
  style: FailureStyle,
  umask: number,
): Promise<Result> {
  const args = parseArguments(command, words);
  checkDescriptors(command, args);
  const context = createContext(args, { ...process.env }, style.paint, umask);
  checkVariables(context.env);
  await endRestore(context);
  return (await command.load()).run(context, args);
}

/** `lango`, `lango --version`, or a group of commands that was given no subcommand. */
function runGroup(path: string, words: readonly string[]): Result {
  if (path !== "") {
    const names = children(COMMANDS, path).join(", ");
    throw usageError(`"lango ${path}" needs a subcommand: ${names}`, `Run "lango ${path} --help"`);
  }
  if (parseRoot(words).flag("version")) {
    const version = readVersion();
    return { data: { version }, text: version };
  }
  const help = groupHelp(COMMANDS, "");
  return { data: { help }, text: help };
}

function parseRoot(words: readonly string[]): Arguments {
  const root: CommandRow = {
    path: "",
    summary: "",
    examples: [],
    options: { version: { type: "boolean", short: "V", summary: "show the version" } },
  };
  return parseArguments(root, words);
}

function print({ data, text, exit, failure }: Result, style: FailureStyle): number {
  if (style.json && data !== undefined && failure === undefined) {
    writeJson({ ok: true, data });
  } else if (!style.json && text !== undefined && text !== "") {
    writeAll(1, `${text}\n`);
  }
  if (failure === undefined) {
    return exit ?? 0;
  }
  const status = reportFailure(failure, style, data);
  return exit ?? status;
}

function colorOption(words: readonly string[]): string | undefined {
  const at = words.indexOf("--color");
  return at === -1
    ? words.find((word) => word.startsWith("--color="))?.slice("--color=".length)
    : words[at + 1];
}
