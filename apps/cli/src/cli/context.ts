import { homedir } from "node:os";
import { resolve } from "node:path";
import type { Arguments } from "./arguments.ts";
import type { Paint } from "./color.ts";
import { printable, writeNote } from "./output.ts";

/** What every command is given. */
export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The folder of the vault, absolute. It need not exist. */
  readonly home: string;
  readonly json: boolean;
  /** Never ask. */
  readonly noInput: boolean;
  /** Every question is answered with yes. */
  readonly yes: boolean;
  readonly verbose: boolean;
  /** The umask that lango was started with; its own is stricter. */
  readonly umask: number;
  readonly paint: Paint;
  /** With `--quiet` and `--json`: no notes, no progress bar. */
  readonly silent: boolean;
  /** Tells people something on stderr; silent with `--quiet` and `--json`. */
  note(line: string): void;
  /** Tells people of a danger on stderr, always. */
  warn(line: string): void;
}

export function createContext(
  args: Arguments,
  env: Readonly<Record<string, string | undefined>>,
  paint: Paint,
  umask: number,
): Context {
  const silent = args.flag("quiet") || args.flag("json");
  return {
    env,
    home: resolve(args.string("home") ?? (env["LANGO_HOME"] || `${homedir()}/.lango`)),
    json: args.flag("json"),
    noInput: args.flag("no-input"),
    yes: args.flag("yes"),
    verbose: args.flag("verbose"),
    umask,
    paint,
    silent,
    note: (line) => {
      if (!silent) {
        writeNote(printable(line));
      }
    },
    warn: (line) => writeNote(`${paint(2, "yellow", "warning:")} ${printable(line)}`),
  };
}
