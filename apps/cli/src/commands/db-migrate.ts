import { usageError } from "../cli/arguments.ts";
import { changeDatabase } from "../cli/change-database.ts";
import type { Handler } from "../cli/command.ts";
import { fromPassphrase } from "../cli/from-passphrase.ts";

const ONLY_WITH = ["database", "database-passphrase-fd", "database-passphrase-file"];

/** Encrypts the database with the key of the vault, or brings one over that a passphrase protects. */
export const run: Handler = (context, args) => {
  if (args.flag("from-passphrase")) return fromPassphrase(context, args);
  const alone = ONLY_WITH.find((option) => args.string(option) !== undefined);
  if (alone !== undefined) throw usageError(`--${alone} goes with --from-passphrase`);
  return changeDatabase(context, args, true);
};
