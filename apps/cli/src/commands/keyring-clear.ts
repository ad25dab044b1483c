import type { Handler } from "../cli/command.ts";
import { keyringOf } from "../cli/keyring.ts";
import { counted } from "../cli/output.ts";
import { requireYes } from "../cli/terminal.ts";
import { withVault } from "../cli/vault.ts";

/** Takes what is of this vault out of the keyring, and the slots that it opened out of the vault. */
export const run: Handler = (context, args) =>
  // Not by the keyring itself: something else has to be there that opens the vault.
  withVault(context, args, { freshConsent: true }, async (vault) => {
    const slots = (await vault.slots.list()).filter(({ kind }) => kind === "keyring");
    if (args.flag("dry-run")) {
      return {
        data: { dryRun: true, slots: slots.map(({ id }) => id) },
        text: `would remove the entries of the keyring and ${counted(slots.length, "slot")}`,
      };
    }
    await requireYes(context, "Remove this vault from the keyring?");
    // The slots first: an entry without a slot opens nothing, a slot without its entry stays for ever.
    for (const { id } of slots) await vault.slots.remove(id);
    const keyring = keyringOf(context, vault.id);
    const key = await keyring.delete("master-key");
    const passphrase = await keyring.delete("passphrase");
    await vault.audit.append({ action: "keyring.clear" });
    context.note("Whoever kept a copy of keyslots.json and of the entry can still open that copy");
    return {
      data: { key, passphrase, slots: slots.map(({ id }) => id) },
      text:
        key || passphrase ? "Removed from the keyring" : "The keyring held nothing of this vault",
    };
  });
