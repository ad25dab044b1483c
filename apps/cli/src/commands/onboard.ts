import type { Handler } from "../cli/command.ts";
import { chooseKdf } from "../cli/kdf.ts";
import { onboard, refuseExisting } from "../cli/onboarding.ts";

/** Creates the vault. */
export const run: Handler = async (context, args) => {
  const chosen = chooseKdf(args);
  if (args.flag("dry-run")) {
    await refuseExisting(context.home);
    return {
      data: { home: context.home, dryRun: true },
      text: `would create a vault in ${context.home}`,
    };
  }
  const { id, text } = await onboard(context, {
    chosen,
    sources: {
      passphraseFd: args.number("passphrase-fd", 0),
      passphraseFile: args.string("passphrase-file"),
      passphraseStdin: args.flag("passphrase-stdin"),
    },
  });
  return { data: { home: context.home, vaultId: id }, text };
};
