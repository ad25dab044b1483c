import { changeDatabase } from "../cli/change-database.ts";
import type { Handler } from "../cli/command.ts";
import { fromPassphrase } from "../cli/from-passphrase.ts";

/** Encrypts the database with the key of the vault. */
export const run: Handler = (context, args) =>
  args.flag("from-passphrase")
    ? fromPassphrase(context, args)
    : changeDatabase(context, args, true);
