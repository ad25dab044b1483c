import type { Handler } from "../cli/command.ts";
import { findDevice, shortFingerprint } from "../cli/companion-device.ts";
import { requireYes } from "../cli/terminal.ts";
import { withVault } from "../cli/vault.ts";

/** Takes a device in again that was suspended because the database is from earlier. */
export const run: Handler = (context, args) =>
  withVault(context, args, {}, async (vault) => {
    const device = await findDevice(vault, args.positional("DEVICE"));
    const { id, name, role, fingerprint, state } = device;
    if (state === "active") return { data: device, text: `${name} is not suspended` };
    if (args.flag("dry-run")) {
      return { data: { dryRun: true, ...device }, text: `would confirm the ${role} ${name}` };
    }
    const question = `Is the ${role} "${name}", ${shortFingerprint(fingerprint)}, still to be trusted?`;
    await requireYes(context, question);
    return { data: await vault.companions.confirm(id), text: `${name} is active again` };
  });
