import type { Handler } from "../cli/command.ts";
import { withVault } from "../cli/vault.ts";

/** Makes a new version of a key of the registry. */
export const run: Handler = (context, args) =>
  withVault(context, args, {}, async ({ keys }) => {
    const { name, uri, keyVersion } = await keys.describe(args.positional("KEY"));
    if (args.flag("dry-run")) {
      return {
        data: { dryRun: true, name, uri, keyVersion },
        text: `would make a version of ${uri} after version ${keyVersion}`,
      };
    }
    const key = await keys.rotate(name);
    return { data: key, text: `rotated ${key.uri}, now version ${key.keyVersion}` };
  });
