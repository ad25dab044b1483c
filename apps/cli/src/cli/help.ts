import type { Command, Option } from "./command.ts";
import { commandOptions, GLOBAL_OPTIONS } from "./options.ts";
import { children } from "./resolve.ts";

/** Help of one command: what it does, examples, options. */
export function commandHelp(command: Command): string {
  const sections = [
    `Usage: ${usage(command)}`,
    command.summary,
    section(
      "Examples",
      command.examples.map((example) => `  ${example}`),
    ),
    section("Options", optionLines(commandOptions(command))),
    section("Options of every command", optionLines(GLOBAL_OPTIONS)),
  ];
  if (command.aliases !== undefined) {
    sections.push(`Also: ${command.aliases.map((alias) => `lango ${alias}`).join(", ")}`);
  }
  return sections.filter((text) => text !== "").join("\n\n");
}

/** Help of a group of commands; `""` is lango itself. */
export function groupHelp(commands: readonly Command[], group: string): string {
  const rows = commands.filter(
    ({ path }) => group === "" || path === group || path.startsWith(`${group} `),
  );
  const examples = (
    group === "" ? FIRST_STEPS : rows.flatMap((row) => row.examples.slice(0, 1))
  ).map((example) => `  ${example}`);
  return [
    group === ""
      ? "lango keeps the keys and secrets of AI agents."
      : `Usage: lango ${group} ${children(commands, group).join("|")}`,
    section("Examples", examples),
    section("Commands", columns(rows.map((row) => [signature(row), row.summary]))),
    section("Options of every command", optionLines(GLOBAL_OPTIONS)),
    group === "" ? EXIT_STATUS : "",
    'Run "lango COMMAND --help" for one command.',
  ]
    .filter((text) => text !== "")
    .join("\n\n");
}

const FIRST_STEPS = [
  "lango onboard",
  "lango security secrets set openai/api-key",
  "lango run --env OPENAI_API_KEY=openai/api-key -- node agent.js",
  "lango security status",
];

const EXIT_STATUS = `Exit status:
  0 ok, 1 general, 2 usage, 3 not found, 4 locked or wrong passphrase, 5 denied, 6 approval timed out,
  7 provider unreachable, 8 integrity failure, 9 conflict or lock held, 10 findings,
  69 optional package missing, 75 temporary failure, 78 configuration, 130 interrupted with Ctrl-C`;

const usage = (command: Command): string =>
  `lango ${signature(command)}${command.options || command.unlocks || command.writes ? " [OPTION…]" : ""}` +
  (command.trailing === undefined ? "" : ` -- ${command.trailing}`);

const signature = ({ path, positionals = [], words }: Command): string =>
  [
    path,
    ...positionals.map(({ name, optional }) => (optional ? `[${name}]` : name)),
    ...(words === undefined ? [] : [`[${words}]`]),
  ].join(" ");

const section = (title: string, lines: readonly string[]): string =>
  lines.length === 0 ? "" : `${title}:\n${lines.join("\n")}`;

const optionLines = (options: Readonly<Record<string, Option>>): string[] =>
  columns(
    Object.entries(options).map(
      ([name, { type, short, value = "VALUE", choices = [], multiple, summary }]) => [
        `${short === undefined ? "    " : `-${short}, `}--${name}${type === "string" ? ` ${value}` : ""}`,
        [summary, named(choices, summary), multiple ? " (may be repeated)" : ""].join(""),
      ],
    ),
  );

/** What a word may be, where the sentence before does not say it already. */
const named = (choices: readonly string[], summary: string): string =>
  choices.every((choice) => summary.includes(choice)) ? "" : ` (${choices.join(", ")})`;

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
