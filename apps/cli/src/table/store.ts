import type { Command } from "../cli/command.ts";
import { PROGRESS_OPTIONS } from "./progress-options.ts";

/** Where the rows of the vault are. */
export const STORE_COMMANDS: readonly Command[] = [
  {
    path: "store migrate",
    summary: "move the vault into PostgreSQL, or back into the file of its home",
    examples: [
      "lango store migrate --to postgres://lango@db.example/vault",
      "lango store migrate --to sqlite",
    ],
    options: {
      to: {
        type: "string",
        value: "URL",
        summary: "postgres://… (its password may stand in DATABASE_URL), or sqlite",
      },
      ...PROGRESS_OPTIONS,
    },
    unlocks: true,
    writes: true,
    load: () => import("../commands/store-migrate.ts"),
  },
];
