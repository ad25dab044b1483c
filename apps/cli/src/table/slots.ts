import type { Command } from "../cli/command.ts";
import { KDF_OPTIONS } from "./kdf-options.ts";
import { NEW_PASSPHRASE_OPTIONS } from "./new-passphrase-options.ts";

/** What opens the vault. */
export const SLOT_COMMANDS: readonly Command[] = [
  {
    path: "security slots list",
    summary: "list what can open the vault; needs no passphrase",
    examples: ["lango security slots list"],
    load: () => import("../commands/slots-list.ts"),
  },
  {
    path: "security slots add",
    summary: "let something else open the vault, too",
    examples: [
      "lango security slots add --kind passphrase --label team",
      "lango security slots add --kind master-key-file",
      "lango security slots add --kind env --key-fd 3 3<key.txt",
      "lango security slots add --kind provider --uri aws-kms:alias/lango",
    ],
    options: {
      kind: {
        type: "string",
        value: "KIND",
        choices: ["passphrase", "recovery", "master-key-file", "env", "keyring", "provider"],
        summary: "passphrase, recovery, master-key-file, env, keyring or provider",
      },
      label: { type: "string", value: "TEXT", summary: "a name for people" },
      ...NEW_PASSPHRASE_OPTIONS,
      "key-fd": {
        type: "string",
        value: "N",
        summary: "read the key of the slot from file descriptor N (--kind env)",
      },
      uri: {
        type: "string",
        value: "URI",
        summary: "the key that opens the slot (--kind provider; default: that of the settings)",
      },
      ...KDF_OPTIONS,
    },
    unlocks: true,
    writes: true,
    load: () => import("../commands/slots-add.ts"),
  },
  {
    path: "security slots remove",
    summary: "take away one of the things that open the vault",
    examples: ["lango security slots remove 8f0c…", "lango security slots remove ID --yes"],
    positionals: [{ name: "ID" }],
    unlocks: true,
    writes: true,
    load: () => import("../commands/slots-remove.ts"),
  },
  {
    path: "security keyring store",
    summary: "let the keyring of the system open the vault",
    examples: ["lango security keyring store", "lango security keyring store --passphrase"],
    options: {
      passphrase: {
        type: "boolean",
        summary: "store the passphrase itself, instead of a random key with a slot of its own",
      },
    },
    unlocks: true,
    writes: true,
    load: () => import("../commands/keyring-store.ts"),
  },
  {
    path: "security keyring status",
    summary: "show what of this vault the keyring of the system holds",
    examples: ["lango security keyring status"],
    load: () => import("../commands/keyring-status.ts"),
  },
  {
    path: "security keyring clear",
    summary: "remove this vault from the keyring of the system",
    examples: ["lango security keyring clear", "lango security keyring clear --yes"],
    unlocks: true,
    writes: true,
    load: () => import("../commands/keyring-clear.ts"),
  },
  {
    path: "security recovery setup",
    summary: "make 24 words on paper that open the vault when the passphrase is lost",
    examples: ["lango security recovery setup"],
    unlocks: true,
    writes: true,
    load: () => import("../commands/recovery-setup.ts"),
  },
  {
    path: "security recovery restore",
    summary: "open the vault with the recovery words, and choose a new passphrase",
    examples: [
      "lango security recovery restore",
      "lango security recovery restore --words-file /dev/fd/3 --new-passphrase-fd 4 3<words 4<new",
    ],
    options: {
      "words-file": { type: "string", value: "FILE", summary: "read the words from FILE" },
      ...NEW_PASSPHRASE_OPTIONS,
      ...KDF_OPTIONS,
    },
    writes: true,
    load: () => import("../commands/recovery-restore.ts"),
  },
];
