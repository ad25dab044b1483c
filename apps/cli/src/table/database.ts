import type { Command } from "../cli/command.ts";
import { PROGRESS_OPTIONS } from "./progress-options.ts";

/** The encryption of the whole database. */
export const DATABASE_COMMANDS: readonly Command[] = [
  {
    path: "security db-migrate",
    summary: "encrypt the whole database, in the format of SQLCipher 4",
    examples: [
      "lango security db-migrate",
      "lango security db-migrate --dry-run",
      "lango security db-migrate --from-passphrase --database-passphrase-fd 3 3<old",
      "lango security db-migrate --from-passphrase --database /mnt/old/.lango/lango.db",
    ],
    options: {
      "from-passphrase": {
        type: "boolean",
        summary:
          "bring the secrets of the original Lango's database, or take over one that PRAGMA key = 'a passphrase' encrypts",
      },
      database: {
        type: "string",
        value: "FILE",
        summary: "the original's database, for a vault that is there (default: that of the home)",
      },
      "database-passphrase-fd": {
        type: "string",
        value: "N",
        summary: "read that passphrase from file descriptor N",
      },
      "database-passphrase-file": {
        type: "string",
        value: "FILE",
        summary: "read that passphrase from FILE",
      },
      ...PROGRESS_OPTIONS,
    },
    unlocks: true,
    writes: true,
    load: () => import("../commands/db-migrate.ts"),
  },
  {
    path: "security db-decrypt",
    summary: "put the whole database back into plaintext; secrets stay sealed",
    examples: ["lango security db-decrypt", "lango security db-decrypt --yes"],
    options: PROGRESS_OPTIONS,
    unlocks: true,
    writes: true,
    load: () => import("../commands/db-decrypt.ts"),
  },
];
