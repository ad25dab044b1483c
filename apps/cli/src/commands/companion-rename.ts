import type { Handler } from "../cli/command.ts";
import { findDevice } from "../cli/companion-device.ts";
import { withVault } from "../cli/vault.ts";

/** Gives a paired device another name here. */
export const run: Handler = (context, args) =>
  withVault(context, args, {}, async (vault) => {
    const device = await findDevice(vault, args.positional("DEVICE"));
    const name = args.positional("NAME");
    if (args.flag("dry-run")) {
      return { data: { dryRun: true, ...device }, text: `would call ${device.name} ${name}` };
    }
    return {
      data: await vault.companions.rename(device.id, name),
      text: `${device.name} is now called ${name}`,
    };
  });
