import type { CommandRow, Option } from "./command.ts";

/** Options that every command takes. */
export const GLOBAL_OPTIONS: Readonly<Record<string, Option>> = {
  help: { type: "boolean", short: "h", summary: "show this help" },
  json: { type: "boolean", summary: "print one JSON document on stdout" },
  quiet: { type: "boolean", short: "q", summary: "print no notes" },
  verbose: { type: "boolean", short: "v", summary: "say how the vault was unlocked" },
  "no-input": { type: "boolean", summary: "never ask, fail instead" },
  yes: { type: "boolean", short: "y", summary: "answer every question with yes" },
  home: { type: "string", value: "DIR", summary: "folder of the vault (LANGO_HOME, ~/.lango)" },
  color: {
    type: "string",
    value: "WHEN",
    choices: ["auto", "always", "never"],
    summary: "auto, always or never",
  },
  debug: { type: "boolean", summary: "show the stack of an error" },
};

/** Where a passphrase may be read from; each wins over every other source. */
export const PASSPHRASE_OPTIONS: Readonly<Record<string, Option>> = {
  "passphrase-fd": {
    type: "string",
    value: "N",
    summary: "read the passphrase from file descriptor N",
  },
  "passphrase-file": { type: "string", value: "FILE", summary: "read the passphrase from FILE" },
  "passphrase-stdin": { type: "boolean", summary: "read the passphrase from stdin" },
};

const UNLOCK_OPTIONS: Readonly<Record<string, Option>> = {
  ...PASSPHRASE_OPTIONS,
  "master-key-fd": {
    type: "string",
    value: "N",
    summary: "read the master key from file descriptor N",
  },
  "recovery-words-fd": {
    type: "string",
    value: "N",
    summary: "read the 24 recovery words from file descriptor N",
  },
  "unlock-with": {
    type: "string",
    value: "KIND",
    choices: ["passphrase", "recovery", "master-key-file", "env", "keyring", "provider", "agent"],
    summary: "use only keyslots of this kind; recovery asks for the words",
  },
};

const WRITE_OPTIONS: Readonly<Record<string, Option>> = {
  "dry-run": { type: "boolean", summary: "say what would be done, change nothing" },
};

/** The options that belong to a command itself: its own, then those of its traits. */
export const commandOptions = (command: CommandRow): Readonly<Record<string, Option>> => ({
  ...command.options,
  ...(command.writes ? WRITE_OPTIONS : {}),
  ...(command.unlocks ? UNLOCK_OPTIONS : {}),
});
