import type { Command } from "../cli/command.ts";
import { REKEY_OPTIONS } from "./rekey-options.ts";

export const ADMIN_COMMANDS: readonly Command[] = [
  {
    path: "admin rekey",
    summary: "make a new vault key; the values stay as they are, whatever their number",
    examples: [
      "lango admin rekey",
      "lango admin rekey --dry-run",
      "lango admin rekey --new-master-key-fd 3 --drop-others --yes 3<new-key",
    ],
    options: REKEY_OPTIONS,
    unlocks: true,
    writes: true,
    load: () => import("../commands/admin-rekey.ts"),
  },
];
