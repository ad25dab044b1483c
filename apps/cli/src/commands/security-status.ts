import { isCryptoError } from "@lango/crypto-core";
import { createUnlocker } from "@lango/unlock";
import { readVault } from "@lango/vault";
import type { Handler } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { standing, uncheckedWishes } from "../cli/in-force.ts";
import { facts, when } from "../cli/output.ts";
import { canAsk } from "../cli/terminal.ts";
import { wouldUnlock } from "../cli/would-unlock.ts";
import { loadConfig } from "../config/load.ts";

/**
 * Shows what protects the vault. This is the command that scripts poll, so its file of the program holds nothing else:
 * without a vault it offers nothing, because onboarding would have to be in there.
 */
export const run: Handler = async (context) => {
  await using vault = await readVault({ home: context.home });
  const wishes = await uncheckedWishes(context.home);
  const { provider, database, facts: settings } = standing(wishes, context.home);
  const { keyring, anchor } = wishes;
  await warnOfFaults(context);
  const status = await vault.status();
  const sources = await createUnlocker({
    home: context.home,
    env: context.env,
    keyringEnabled: keyring.enabled,
    // Nobody is asked; whether there is somebody to ask decides what would be used.
    prompt: canAsk(context) ? async () => undefined : undefined,
    stdinFree: true,
  }).describe(await vault.slots.list());
  const { used, text: unlockText } = wouldUnlock(sources);
  return {
    data: {
      home: context.home,
      // Where the keys are, and not where the settings would have them.
      mode: "local",
      unlockSource: used?.source ?? null,
      sources,
      provider,
      database,
      companion: null,
      audit: { anchor: anchor === "" ? null : anchor },
      ...status,
    },
    text: facts([
      ["home", context.home],
      ["vault", `${status.id}, made ${when(status.createdAt)}`],
      ["mode", "local"],
      ...settings,
      ["would unlock with", unlockText],
      ["slots", status.slots.map(({ kind, kdf }) => (kdf ? `${kind} (${kdf})` : kind)).join(", ")],
      ["keys", `${status.keyCount}`],
      ["secrets", `${status.secretCount}`],
      ["companion", "none"],
      ["log anchored by", anchor === "" ? "nothing" : anchor],
      ["degraded", status.degraded ? "yes: some data keys wait to be wrapped again" : "no"],
    ]),
  };
};

/** The status is shown all the same: it is asked for when something is wrong. */
async function warnOfFaults({ home, warn }: Context): Promise<void> {
  try {
    await loadConfig(home);
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    warn(`${error.message}; most commands will refuse to work`);
  }
}
