import type { CryptoError } from "@lango/crypto-core";
import type { Arguments } from "./arguments.ts";
import type { Context } from "./context.ts";

/** An option as parsing, help and completion see it. */
export interface Option {
  readonly type: "string" | "boolean";
  readonly summary: string;
  readonly short?: string;
  /** May be given several times. */
  readonly multiple?: true;
  /** What help calls the value of a string option. Default: `VALUE`. */
  readonly value?: string;
  /** The only values allowed. */
  readonly choices?: readonly string[];
}

export interface Positional {
  readonly name: string;
  readonly optional?: true;
  /** What completion offers. */
  readonly choices?: readonly string[];
}

/** What a command hands back; the caller prints it, as text or as the one JSON document. */
export interface Result {
  /** `data` of the JSON document. A command without it prints nothing with `--json`. */
  readonly data?: unknown;
  /** Lines for people, without the last line break. */
  readonly text?: string;
  /** Default: 0, or the status of `failure`. */
  readonly exit?: number;
  /** The command did its work and the answer is bad news, e.g. a broken chain: reported like an error, beside `data`. */
  readonly failure?: CryptoError;
}

export type Handler = (context: Context, args: Arguments) => Promise<Result>;

/** What a command line of a command looks like: parsing, help, completion and every usage error come from it. */
export interface CommandRow {
  /** Words after `lango`, e.g. `security secrets set`. */
  readonly path: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  readonly examples: readonly string[];
  readonly positionals?: readonly Positional[];
  /** Name of any number of words after the positionals. */
  readonly words?: string;
  /** Name of the words after `--`, which are handed on as they are. */
  readonly trailing?: string;
  readonly options?: Readonly<Record<string, Option>>;
  /** Takes the options that say where the passphrase or key comes from. */
  readonly unlocks?: true;
  /** Exit status of every failure of the command itself. Default: that of the error's code. */
  readonly failureExit?: number;
  /** Takes `--dry-run`. */
  readonly writes?: true;
}

/** One row of the command table. */
export interface Command extends CommandRow {
  /** Loads the implementation; nothing of a command is read before it is called. */
  readonly load: () => Promise<{ readonly run: Handler }>;
}
