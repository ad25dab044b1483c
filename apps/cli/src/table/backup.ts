import type { Command, Option } from "../cli/command.ts";
import { PROGRESS_OPTIONS } from "./progress-options.ts";

const BACKUP_PASSPHRASE_OPTIONS: Readonly<Record<string, Option>> = {
  "backup-passphrase-fd": {
    type: "string",
    value: "N",
    summary: "read the passphrase of the backup from file descriptor N",
  },
  "backup-passphrase-file": {
    type: "string",
    value: "FILE",
    summary: "read the passphrase of the backup from FILE",
  },
};

const OPENING_OPTIONS: Readonly<Record<string, Option>> = {
  identity: {
    type: "string",
    value: "FILE",
    summary: "file with the key of age (AGE-SECRET-KEY-1…) that the backup is for",
  },
  ...BACKUP_PASSPHRASE_OPTIONS,
};

/** The vault as one file of age. */
export const BACKUP_COMMANDS: readonly Command[] = [
  {
    path: "backup create",
    summary: "make one encrypted file of the vault, which the age tool opens too",
    examples: ["lango backup create", "lango backup create --to vault.tar.age --recipient age1…"],
    options: {
      to: {
        type: "string",
        value: "FILE",
        summary: "the file to make (default: lango-VAULT-TIME.tar.age)",
      },
      recipient: {
        type: "string",
        value: "age1…",
        multiple: true,
        summary: "whom the backup is for, instead of a passphrase",
      },
      ...BACKUP_PASSPHRASE_OPTIONS,
      ...PROGRESS_OPTIONS,
    },
    unlocks: true,
    writes: true,
    load: () => import("../commands/backup-create.ts"),
  },
  {
    path: "backup restore",
    summary: "check a backup and put it in place, where there is no vault or with --force",
    examples: [
      "lango backup restore vault.tar.age",
      "lango backup restore vault.tar.age --identity key.txt --dry-run",
      "lango backup restore vault.tar.age --force",
    ],
    positionals: [{ name: "FILE" }],
    options: {
      force: {
        type: "boolean",
        summary: "set a home that is there aside: it is renamed, not deleted",
      },
      ...OPENING_OPTIONS,
      ...PROGRESS_OPTIONS,
    },
    unlocks: true,
    writes: true,
    load: () => import("../commands/backup-restore.ts"),
  },
  {
    path: "backup verify",
    summary: "read a backup to its end and check it, without opening the vault in it",
    examples: ["lango backup verify vault.tar.age --identity key.txt"],
    positionals: [{ name: "FILE" }],
    options: { ...OPENING_OPTIONS, ...PROGRESS_OPTIONS },
    load: () => import("../commands/backup-verify.ts"),
  },
];
