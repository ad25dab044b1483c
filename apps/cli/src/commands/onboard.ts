import type { Handler } from "../cli/command.ts";
import { chooseKdf } from "../cli/kdf.ts";
import { onboard, refuseExisting } from "../cli/onboarding.ts";
import { writeAll } from "../cli/output.ts";

/** Creates the vault. */
export const run: Handler = async (context, args) => {
  const chosen = chooseKdf(args);
  if (args.flag("dry-run")) {
    await refuseExisting(context);
    return {
      data: { home: context.home, dryRun: true },
      text: `would create a vault in ${context.home}`,
    };
  }
  const { id, opening, text, advise } = await onboard(context, {
    chosen,
    createKey: args.flag("create-key"),
    sources: {
      passphraseFd: args.number("passphrase-fd", 0),
      passphraseFile: args.string("passphrase-file"),
      passphraseStdin: args.flag("passphrase-stdin"),
    },
  });
  if (!context.json) {
    writeAll(1, `${text}\n`);
  }
  advise();
  return { data: { home: context.home, vaultId: id, opening } };
};
