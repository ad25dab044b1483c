import type { Command, Option } from "../cli/command.ts";
import { KDF_OPTIONS } from "./kdf-options.ts";
import { NEW_PASSPHRASE_OPTIONS } from "./new-passphrase-options.ts";
import { PROGRESS_OPTIONS } from "./progress-options.ts";
import { SLOT_COMMANDS } from "./slots.ts";

const NAME = { name: "NAME" };

const VERSION: Option = { type: "string", value: "N", summary: "the version (default: current)" };

export const SECURITY_COMMANDS: readonly Command[] = [
  {
    path: "security status",
    summary: "show what protects the vault; needs no passphrase",
    examples: ["lango security status", "lango security status --probe"],
    options: {
      probe: {
        type: "boolean",
        summary: "ask the provider of the keys how it is, if that is older than 30 seconds",
      },
    },
    load: () => import("../commands/security-status.ts"),
  },
  {
    path: "security migrate-passphrase",
    aliases: ["security change-passphrase"],
    summary: "change the passphrase; every secret stays readable",
    examples: [
      "lango security migrate-passphrase",
      "lango security migrate-passphrase --old-passphrase-fd 3 --new-passphrase-fd 4 3<old 4<new",
    ],
    options: {
      "old-passphrase-fd": {
        type: "string",
        value: "N",
        summary: "read the old passphrase from file descriptor N",
      },
      "old-passphrase-file": {
        type: "string",
        value: "FILE",
        summary: "read the old passphrase from FILE",
      },
      ...NEW_PASSPHRASE_OPTIONS,
      ...KDF_OPTIONS,
      "rotate-data-keys": {
        type: "boolean",
        summary: "then seal every value again under new data keys, as security rotate does",
      },
      ...PROGRESS_OPTIONS,
    },
    writes: true,
    load: () => import("../commands/migrate-passphrase.ts"),
  },
  {
    path: "security secrets set",
    summary: "store a secret; its value comes from a prompt or from stdin",
    examples: [
      "lango security secrets set openai/api-key",
      "pass show openai | lango security secrets set openai/api-key",
    ],
    positionals: [NAME, { name: "VALUE", optional: true }],
    options: {
      "from-file": { type: "string", value: "FILE", summary: "take the value from FILE" },
      raw: { type: "boolean", summary: "keep a line break at the end of the value" },
      "allow-empty": { type: "boolean", summary: "take an empty value" },
      strict: { type: "boolean", summary: "refuse a VALUE on the command line" },
      "create-only": { type: "boolean", summary: "refuse a name that exists" },
      "if-version": {
        type: "string",
        value: "N",
        summary: "refuse unless N is the current version",
      },
      key: { type: "string", value: "URI", summary: "the key that encrypts it (local:default)" },
    },
    unlocks: true,
    writes: true,
    load: () => import("../commands/secrets-set.ts"),
  },
  {
    path: "security secrets get",
    summary: "print the reference to a secret, or its value with --reveal",
    examples: [
      "lango security secrets get openai/api-key",
      "lango security secrets get openai/api-key --reveal",
    ],
    positionals: [NAME],
    options: {
      reveal: { type: "boolean", summary: "print the value; the audit log notes it" },
      version: VERSION,
    },
    unlocks: true,
    load: () => import("../commands/secrets-get.ts"),
  },
  {
    path: "security secrets list",
    summary: "list names and dates, no values; needs no passphrase",
    examples: ["lango security secrets list", "lango security secrets list --json"],
    unlocks: true,
    load: () => import("../commands/secrets-list.ts"),
  },
  {
    path: "security secrets history",
    summary: "list the kept versions of a secret",
    examples: ["lango security secrets history openai/api-key"],
    positionals: [NAME],
    unlocks: true,
    load: () => import("../commands/secrets-history.ts"),
  },
  {
    path: "security secrets rollback",
    summary: "make an earlier version current again",
    examples: ["lango security secrets rollback openai/api-key --version 3"],
    positionals: [NAME],
    options: { version: { ...VERSION, summary: "the version (default: the one before)" } },
    unlocks: true,
    writes: true,
    load: () => import("../commands/secrets-rollback.ts"),
  },
  {
    path: "security secrets delete",
    summary: "remove every version of a secret",
    examples: ["lango security secrets delete openai/api-key --yes"],
    positionals: [NAME],
    unlocks: true,
    writes: true,
    load: () => import("../commands/secrets-delete.ts"),
  },
  {
    path: "security secrets allow",
    summary: "say where a secret may go without asking; asks for the passphrase at the terminal",
    examples: [
      "lango security secrets allow github --to api.github.com --to '*.githubusercontent.com'",
      "lango security secrets allow db/password --command /usr/bin/psql",
      "lango security secrets allow github --clear",
    ],
    positionals: [NAME],
    options: {
      to: {
        type: "string",
        value: "HOST",
        multiple: true,
        summary: "a host, host:port or *.host to add",
      },
      command: {
        type: "string",
        value: "PATH",
        multiple: true,
        summary: "a program to add, by its absolute path",
      },
      clear: { type: "boolean", summary: "empty the list: each use is asked for" },
      handles: {
        type: "string",
        value: "WHETHER",
        choices: ["required", "optional"],
        summary: "whether agents use it by handles only",
      },
    },
    unlocks: true,
    writes: true,
    load: () => import("../commands/secrets-allow.ts"),
  },
  ...SLOT_COMMANDS,
  {
    path: "security provider list",
    summary: "list the crypto providers and which are installed",
    examples: ["lango security provider list"],
    load: () => import("../commands/provider-list.ts"),
  },
  {
    path: "security provider check",
    summary: "run the conformance checks on a provider; exit 8 when one fails",
    examples: [
      "lango security provider check local",
      "lango security provider check aws-kms --aead alias/one --aead alias/two",
      "lango security provider check pkcs11 --signing ecdsa-p256-sha256=release",
    ],
    positionals: [{ name: "URI" }],
    options: {
      aead: {
        type: "string",
        value: "URI",
        multiple: true,
        summary: "a key for encryption; give two",
      },
      signing: {
        type: "string",
        value: "ALG=URI",
        multiple: true,
        summary: "a key for a signature scheme, such as ecdsa-p256-sha256",
      },
      mac: {
        type: "string",
        value: "ALG=URI",
        multiple: true,
        summary: "a key for macs, such as hmac-sha256",
      },
      disabled: { type: "string", value: "URI", summary: "a key that is disabled" },
      create: {
        type: "boolean",
        summary:
          "make the keys that are missing, and leave them there; check creation and rotation",
      },
    },
    unlocks: true,
    load: () => import("../commands/provider-check.ts"),
  },
  {
    path: "security provider migrate",
    summary: "put the data keys of a key under another key; no value is touched",
    examples: [
      "lango security provider migrate --to aws-kms:alias/lango",
      "lango security provider migrate --to local:default --dry-run",
    ],
    options: {
      to: { type: "string", value: "URI", summary: "the key of a provider, or local:NAME" },
      key: { type: "string", value: "NAME", summary: "the key that moves (default)" },
      create: { type: "boolean", summary: "make the key at the provider first" },
    },
    unlocks: true,
    writes: true,
    load: () => import("../commands/provider-migrate.ts"),
  },
  {
    path: "security provider rewrap",
    summary: "have the provider wrap what was sealed while it could not be reached",
    examples: ["lango security provider rewrap", "lango security provider rewrap --all"],
    options: {
      all: {
        type: "boolean",
        summary: "also what an older version of the provider's key wraps",
      },
    },
    unlocks: true,
    writes: true,
    load: () => import("../commands/provider-rewrap.ts"),
  },
];
