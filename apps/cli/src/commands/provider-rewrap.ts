import type { Handler } from "../cli/command.ts";
import { interruptible } from "../cli/interrupt.ts";
import { counted } from "../cli/output.ts";
import { withVault } from "../cli/vault.ts";

/** Has providers wrap the data keys that were sealed while they could not be reached. */
export const run: Handler = (context, args) =>
  withVault(context, args, {}, async (vault) => {
    const all = args.flag("all");
    const { degradedDataKeys, dataKeys } = await vault.status();
    if (args.flag("dry-run")) {
      const ofProviders = dataKeys.reduce(
        (sum, { uri, count }) => sum + (uri === "vault:wrap" ? 0 : count),
        0,
      );
      const atMost = all ? degradedDataKeys + ofProviders : degradedDataKeys;
      return {
        data: { dryRun: true, degraded: degradedDataKeys, atMost },
        text: `would wrap at most ${counted(atMost, "data key")} again`,
      };
    }
    const { rewrapped } = await interruptible((signal) => vault.providers.rewrap({ all, signal }));
    return { data: { rewrapped }, text: `wrapped ${counted(rewrapped, "data key")} again` };
  });
