import { usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
import { GLOBAL_OPTIONS } from "./options.ts";
import { suggest } from "./suggest.ts";

/** What the words name: a command with the words that are left, or a group of commands (`""` is lango itself). */
export type Resolved =
  | { readonly command: Command; readonly words: readonly string[] }
  | { readonly group: string; readonly words: readonly string[] };

/**
 * Follows the words down the command table. Global options may stand before and between them.
 *
 * @throws CryptoError `ERR_INVALID_ARGUMENT` for a word that names nothing.
 */
export function resolve(commands: readonly Command[], argv: readonly string[]): Resolved {
  let path = "";
  const options: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word.startsWith("-")) {
      options.push(word);
      if (takesNextWord(word) && i + 1 < argv.length) {
        options.push(argv[++i]!);
      }
      continue;
    }
    const next = path === "" ? word : `${path} ${word}`;
    const command = commands.find(
      (row) => row.path === next || row.aliases?.includes(next) === true,
    );
    // A command that is a group as well is itself only where no subcommand follows.
    if (command !== undefined && children(commands, next).length === 0) {
      return { command, words: [...options, ...argv.slice(i + 1)] };
    }
    if (!commands.some((row) => row.path.startsWith(`${next} `))) {
      // The word may be its value: nobody knows before the command is named.
      const stray = options.map(longName).find((name) => name !== "" && !isGlobal(name));
      if (stray !== undefined) {
        throw usageError(
          `Unknown option --${stray} before the command`,
          'Options of a command stand behind its name, as in "lango audit verify --rows"',
        );
      }
      const near = suggest(word, children(commands, path));
      const full = path === "" ? near : `${path} ${near}`;
      throw usageError(
        `Unknown command "${next}"`,
        near ? `Did you mean "lango ${full}"?` : `Run "${`lango ${path}`.trim()} --help"`,
      );
    }
    path = next;
  }
  const command = commands.find((row) => row.path === path);
  return command ? { command, words: options } : { group: path, words: options };
}

/** The words that may follow a path, in table order. */
export function children(commands: readonly Command[], path: string): string[] {
  const prefix = path === "" ? "" : `${path} `;
  const names = commands
    .filter((row) => row.path.startsWith(prefix))
    .map((row) => row.path.slice(prefix.length).split(" ")[0]!);
  return [...new Set(names)];
}

function takesNextWord(word: string): boolean {
  const name = longName(word);
  return !word.includes("=") && isGlobal(name) && GLOBAL_OPTIONS[name]!.type === "string";
}

/** `home` of `--home` and of `--home=DIR`; empty for what is no long option. */
const longName = (word: string): string => /^--([^=]+)/.exec(word)?.[1] ?? "";

const isGlobal = (name: string): boolean => Object.hasOwn(GLOBAL_OPTIONS, name);
