import { createUnlocker } from "@lango/unlock";
import type { Handler } from "../cli/command.ts";
import { facts } from "../cli/output.ts";
import { withReader } from "../cli/reader.ts";
import { canAsk } from "../cli/terminal.ts";

/** Shows what protects the vault. Reads no more than it shows: this is the command that scripts poll. */
export const run: Handler = (context) =>
  withReader(context, async (vault) => {
    const status = await vault.status();
    return { data: status, text: facts([]) };
  });
