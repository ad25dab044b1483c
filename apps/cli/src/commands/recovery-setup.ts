import type { Handler } from "../cli/command.ts";
import { requireVault } from "../cli/home.ts";
import { addRecoveryWords, requireSomebodyToShow } from "../cli/recovery-words.ts";
import { withVault } from "../cli/vault.ts";

/** Makes 24 words that open the vault when the passphrase is lost. */
export const run: Handler = async (context, args) => {
  await requireVault(context);
  // Before the passphrase is asked for.
  requireSomebodyToShow(context);
  return withVault(context, args, { freshConsent: true }, async (vault) => {
    const before = (await vault.slots.list()).filter(({ kind }) => kind === "recovery");
    if (args.flag("dry-run")) {
      return {
        data: { dryRun: true, replaces: before.map(({ id }) => id) },
        text: `would make 24 words${before.length === 0 ? "" : ", in the place of the old ones"}`,
      };
    }
    const slot = await addRecoveryWords(vault);
    const old = before.filter(({ id }) => id !== vault.unlockedBy.slotId);
    for (const { id } of old) await vault.slots.remove(id);
    return {
      data: { slot, replaced: old.map(({ id }) => id) },
      text: `The 24 words open the vault now${old.length === 0 ? "" : ", and the old ones no more"}`,
    };
  });
};
