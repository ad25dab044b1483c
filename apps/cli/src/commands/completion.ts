import { usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import { commandOptions, GLOBAL_OPTIONS } from "../cli/options.ts";
import { children } from "../cli/resolve.ts";
import { COMMANDS } from "../table/index.ts";

/** Prints a script that completes commands and options; file names are left to the shell. */
export const run: Handler = async (_context, args) => {
  const shell = args.positional("SHELL");
  const write = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
  if (write === undefined) {
    throw usageError(`There is no completion for "${shell}"`, "Use bash, zsh or fish");
  }
  const script = write(candidates());
  return { data: { shell, script }, text: script };
};

/** What may follow each path of words: subcommands of a group, options of a command. */
function candidates(): ReadonlyMap<string, readonly string[]> {
  const result = new Map<string, readonly string[]>();
  const globals = Object.keys(GLOBAL_OPTIONS);
  for (const command of COMMANDS) {
    for (const path of [command.path, ...(command.aliases ?? [])]) {
      const words = path.split(" ");
      for (let i = 0; i < words.length; i++) {
        const group = words.slice(0, i).join(" ");
        result.set(group, children(COMMANDS, group));
      }
      const options = [...Object.keys(commandOptions(command)), ...globals];
      result.set(path, [
        ...(command.positionals ?? []).flatMap(({ choices = [] }) => choices),
        ...options.map((name) => `--${name}`),
      ]);
    }
  }
  return result;
}

type Candidates = ReadonlyMap<string, readonly string[]>;

const SCRIPTS: Readonly<Record<string, (all: Candidates) => string>> = {
  bash: (all) => `_lango() {
  local current="\${COMP_WORDS[COMP_CWORD]}" last="\${COMP_WORDS[COMP_CWORD - 1]}" path="" next i
  for ((i = 1; i < COMP_CWORD; i++)); do
    next="\${path:+$path }\${COMP_WORDS[i]}"
    case "$next" in
      ${paths(all)}) path="$next" ;;
    esac
    if [ "$path \${COMP_WORDS[i]}" = "run --" ]; then
      if ((i == COMP_CWORD - 1)); then COMPREPLY=($(compgen -c -- "$current")); fi
      return
    fi
  done
  case "$path $last" in
${valueCases()}
  esac
  case "$path" in
${posixCases(all, (words) => `COMPREPLY=($(compgen -W "${words}" -- "$current"))`)}
  esac
}
complete -o default -F _lango lango`,

  zsh: (all) => `#compdef lango
_lango() {
  local route="" next i
  for ((i = 2; i < CURRENT; i++)); do
    next="\${route:+$route }\${words[i]}"
    case "$next" in
      ${paths(all)}) route="$next" ;;
    esac
  done
  case "$route" in
${posixCases(all, (words) => `compadd -- ${words}`)}
  esac
  _files
}
if [ "$funcstack[1]" = "_lango" ]; then _lango; else compdef _lango lango; fi`,

  fish: (all) => `function __lango_candidates
  set -l path ""
  for word in (commandline -opc)[2..]
    set -l next (string trim "$path $word")
    switch $next
      case ${[...all.keys()].filter(Boolean).map(quote).join(" ")}
        set path $next
    end
  end
  switch $path
${[...all].map(([path, words]) => `    case ${quote(path)}\n      printf '%s\\n' ${words.join(" ")}`).join("\n")}
  end
end
complete -c lango -a '(__lango_candidates)'`,
};

/** What may follow an option that takes a value; where nothing is known, the shell offers files. */
function valueCases(): string {
  const lines = COMMANDS.flatMap((command) =>
    Object.entries({ ...commandOptions(command), ...GLOBAL_OPTIONS }).flatMap(
      ([name, { type, choices = [] }]) => {
        if (type === "boolean") {
          return [];
        }
        const paths = [command.path, ...(command.aliases ?? [])];
        const words =
          choices.length === 0
            ? ""
            : ` COMPREPLY=($(compgen -W "${choices.join(" ")}" -- "$current"));`;
        return [
          `    ${paths.map((path) => quote(`${path} --${name}`)).join("|")})${words} return ;;`,
        ];
      },
    ),
  );
  return lines.join("\n");
}

const quote = (text: string): string => `"${text}"`;

const paths = (all: Candidates): string => [...all.keys()].filter(Boolean).map(quote).join("|");

const posixCases = (all: Candidates, body: (words: string) => string): string =>
  [...all].map(([path, words]) => `    ${quote(path)}) ${body(words.join(" "))} ;;`).join("\n");
