import { changeDatabase } from "../cli/change-database.ts";
import type { Handler } from "../cli/command.ts";

/** Puts the database back into plaintext. */
export const run: Handler = (context, args) => changeDatabase(context, args, false);
