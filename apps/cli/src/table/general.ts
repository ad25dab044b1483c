import type { Command } from "../cli/command.ts";
import { PASSPHRASE_OPTIONS } from "../cli/options.ts";
import { KDF_OPTIONS } from "./kdf-options.ts";

export const GENERAL_COMMANDS: readonly Command[] = [
  {
    path: "onboard",
    summary: "create the vault",
    examples: ["lango onboard", "lango onboard --no-input --passphrase-fd 3 3<passphrase.txt"],
    options: {
      "create-key": {
        type: "boolean",
        summary: "make the provider's key that config.json names, if there is none",
      },
      ...KDF_OPTIONS,
      ...PASSPHRASE_OPTIONS,
    },
    writes: true,
    load: () => import("../commands/onboard.ts"),
  },
  {
    path: "whoami",
    summary: "show which source would open the vault, and why others would not",
    examples: ["lango whoami", "lango whoami --json"],
    unlocks: true,
    load: () => import("../commands/whoami.ts"),
  },
  {
    path: "settings",
    summary: "show every setting and change some, on a terminal",
    examples: ["lango settings"],
    load: () => import("../commands/settings-edit.ts"),
  },
  {
    path: "settings get",
    summary: "show one setting",
    examples: ["lango settings get security.signer.provider"],
    positionals: [{ name: "KEY" }],
    load: () => import("../commands/settings-get.ts"),
  },
  {
    path: "settings set",
    summary: "change one setting",
    examples: ["lango settings set security.keyring.enabled true"],
    positionals: [{ name: "KEY" }, { name: "VALUE" }],
    writes: true,
    load: () => import("../commands/settings-set.ts"),
  },
  {
    path: "settings list",
    summary: "show every setting with its value",
    examples: ["lango settings list", "lango settings list --json"],
    load: () => import("../commands/settings-list.ts"),
  },
  {
    path: "settings schema",
    summary: "show the JSON Schema of config.json",
    examples: ["lango settings schema > config.schema.json"],
    load: () => import("../commands/settings-schema.ts"),
  },
  {
    path: "audit verify",
    summary: "check the audit log",
    examples: ["lango audit verify --rows", "lango audit verify --links"],
    options: {
      rows: {
        type: "boolean",
        summary: "compare the rows of secrets, keys and slots with the log",
      },
      links: { type: "boolean", summary: "check the chain only, which needs no passphrase" },
      "anchor-key": {
        type: "string",
        value: "FILE",
        multiple: true,
        summary: "public key (PEM) that may anchor the log; others do not count",
      },
    },
    unlocks: true,
    load: () => import("../commands/audit-verify.ts"),
  },
  {
    path: "audit tail",
    summary: "show the newest events of the audit log",
    examples: ["lango audit tail", "lango audit tail -n 200 --json"],
    options: {
      lines: { type: "string", short: "n", value: "N", summary: "how many events (50)" },
    },
    unlocks: true,
    load: () => import("../commands/audit-tail.ts"),
  },
  {
    path: "audit export",
    summary: "write the audit log as lines of JSON, for other systems; never a value",
    examples: [
      "lango audit export --format jsonl --out audit.jsonl",
      "lango audit export --format ocsf --since 2026-11-01 | gzip > audit.ocsf.gz",
      "lango audit export --from 1042",
    ],
    options: {
      format: {
        type: "string",
        value: "FORMAT",
        choices: ["jsonl", "ocsf"],
        summary: "jsonl (default), or ocsf: Entity Management events of OCSF 1.6.0",
      },
      from: { type: "string", value: "SEQ", summary: "the first row (1)" },
      since: { type: "string", value: "TIME", summary: "nothing older, e.g. 2026-11-01T08:00:00Z" },
      out: { type: "string", value: "FILE", summary: "write into FILE, whole or not at all" },
      macs: {
        type: "boolean",
        summary: "unlock the vault and check the MACs too; an encrypted database needs it",
      },
    },
    unlocks: true,
    load: () => import("../commands/audit-export.ts"),
  },
  {
    path: "doctor",
    summary: "look for what is wrong; exit 10 when something is",
    examples: [
      "lango doctor",
      "lango doctor --fix",
      "lango doctor --check",
      "lango doctor --rotation",
    ],
    options: {
      check: {
        type: "boolean",
        summary: "only the variables that hold keys and tokens, every fault at once; exit 78",
      },
      rotation: {
        type: "boolean",
        summary: "only what is to be changed every quarter, and what is overdue",
      },
      incident: { type: "boolean", summary: "only what to do after a break-in, step by step" },
      backup: { type: "boolean", summary: "only what it takes to get the data back after a loss" },
      probe: { type: "boolean", summary: "ask the provider of the keys how it is, too" },
      fix: {
        type: "boolean",
        summary: "mend modes of files and an interrupted change of the slots",
      },
      "accept-rollback": {
        type: "boolean",
        summary: "with --fix: go on with a file from earlier, after a yes",
      },
    },
    unlocks: true,
    load: () => import("../commands/doctor.ts"),
  },
  {
    path: "completion",
    summary: "print the completion script of a shell: bash, zsh or fish",
    examples: [
      'eval "$(lango completion bash)"',
      "lango completion fish > ~/.config/fish/completions/lango.fish",
    ],
    positionals: [{ name: "SHELL", choices: ["bash", "zsh", "fish"] }],
    load: () => import("../commands/completion.ts"),
  },
];
