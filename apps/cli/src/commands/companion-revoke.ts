import type { Handler } from "../cli/command.ts";
import { findDevice } from "../cli/companion-device.ts";
import { requireYes } from "../cli/terminal.ts";
import { withVault } from "../cli/vault.ts";

/** Takes a paired device out; a connection with it drops at once. */
export const run: Handler = (context, args) =>
  withVault(context, args, {}, async (vault) => {
    const { id, name, role, fingerprint } = await findDevice(vault, args.positional("DEVICE"));
    const data = { id, name, role, fingerprint };
    if (args.flag("dry-run")) {
      return { data: { dryRun: true, ...data }, text: `would revoke the ${role} ${name}` };
    }
    await requireYes(context, `Revoke the ${role} "${name}"?`);
    const slots = await vault.companions.revoke(id);
    for (const slot of slots) context.note(`Slot ${slot.id} (${slot.uri}) went with it`);
    return {
      data: { ...data, slots },
      text: `revoked ${name}; to use it again, pair it again`,
    };
  });
