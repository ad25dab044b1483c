import type { Command } from "../cli/command.ts";
import { PROGRESS_OPTIONS } from "./progress-options.ts";
import { REKEY_OPTIONS } from "./rekey-options.ts";

export const ROTATION_COMMANDS: readonly Command[] = [
  {
    path: "security rotate",
    summary: "new data keys, and every value sealed again under them; others go on working",
    examples: [
      "lango security rotate",
      "lango security rotate --resume",
      "lango security rotate --env-keys",
      "lango security rotate --compromised --drop-others",
    ],
    options: {
      "env-keys": {
        type: "boolean",
        summary: "then let only the newest ENCRYPTION_KEY open the vault, and say what may go",
      },
      compromised: {
        type: "boolean",
        summary: "a new vault key and new keys of the rows too: somebody may have had the old ones",
      },
      "accept-faults": {
        type: "boolean",
        summary: "with --compromised: also take rows that the log does not vouch for",
      },
      ...REKEY_OPTIONS,
      resume: { type: "boolean", summary: "go on with the rotation that was interrupted" },
      ...PROGRESS_OPTIONS,
    },
    unlocks: true,
    writes: true,
    load: () => import("../commands/security-rotate.ts"),
  },
  {
    path: "keys retire",
    summary: "destroy the data keys that no value needs any more, and list the others",
    examples: ["lango keys retire --dry-run", "lango keys retire"],
    options: {
      orphans: {
        type: "boolean",
        summary: "first remove versions whose secret has lost its row, which nothing opens",
      },
    },
    unlocks: true,
    writes: true,
    load: () => import("../commands/keys-retire.ts"),
  },
];
