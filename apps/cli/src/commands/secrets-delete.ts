import type { Handler } from "../cli/command.ts";
import { checkName, findSecret } from "../cli/reader.ts";
import { requireYes } from "../cli/terminal.ts";
import { withVault } from "../cli/vault.ts";

/** Removes a secret with all its versions. */
export const run: Handler = async (context, args) => {
  const name = args.positional("NAME");
  await checkName(context, name);
  return withVault(context, args, {}, async (vault) => {
    const { version } = await findSecret(vault, name);
    if (args.flag("dry-run")) {
      return {
        data: { name, dryRun: true },
        text: `would delete ${name} and every version of it, now at version ${version}`,
      };
    }
    await requireYes(context, `Delete ${name} and every version of it?`);
    await vault.secrets.delete(name);
    return { data: { name, deleted: true }, text: `deleted ${name}` };
  });
};
