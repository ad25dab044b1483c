import { CryptoError } from "@lango/crypto-core";
import type { Handler } from "../cli/command.ts";
import { requireYes } from "../cli/terminal.ts";
import { withVault } from "../cli/vault.ts";

/** Takes away one of the things that open the vault. */
export const run: Handler = (context, args) =>
  withVault(context, args, { freshConsent: true }, async (vault) => {
    const id = args.positional("ID");
    if (args.flag("dry-run")) {
      const slots = await vault.slots.list();
      if (!slots.some((slot) => slot.id === id)) {
        throw new CryptoError("ERR_NOT_FOUND", `The vault has no slot ${id}`, {
          context: { hint: 'Run "lango security slots list"' },
        });
      }
      return { data: { dryRun: true, id }, text: `would remove slot ${id}` };
    }
    await requireYes(context, `Remove slot ${id}? What it was for opens the vault no more`);
    const slot = await vault.slots.remove(id);
    context.note("Whoever kept a copy of keyslots.json can still open that copy with it");
    return { data: { slot }, text: `Removed slot ${slot.id} (${slot.kind})` };
  });
