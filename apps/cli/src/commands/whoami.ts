import { userInfo } from "node:os";
import { createUnlocker } from "@lango/unlock";
import { agentFacts } from "../cli/agent-facts.ts";
import type { Handler } from "../cli/command.ts";
import { standing, uncheckedWishes } from "../cli/in-force.ts";
import { facts } from "../cli/output.ts";
import { ambientSchemes, configuredSchemes } from "../cli/provider-settings.ts";
import { withReader } from "../cli/reader.ts";
import { unlockOptions } from "../cli/vault.ts";
import { wouldUnlock } from "../cli/would-unlock.ts";
import { loadConfig } from "../config/load.ts";

/** Shows who works on which vault, and which source would open it. */
export const run: Handler = (context, args) =>
  withReader(context, async (vault) => {
    await loadConfig(context.home);
    const wishes = await uncheckedWishes(context.home);
    const status = await vault.status();
    const { provider, database, facts: settings } = standing(wishes, context.home, status);
    const sources = await createUnlocker({
      ...unlockOptions(context, args, true),
      keyringEnabled: wishes.keyring.enabled,
      providerSlots: { ambient: ambientSchemes(configuredSchemes(wishes), context.env) },
    }).describe(await vault.slots.list());
    const { used, text } = wouldUnlock(sources);
    const { agent, text: agentText } = await agentFacts(context.home);
    const user = userInfo().username;
    return {
      data: {
        user,
        home: vault.home,
        vaultId: vault.id,
        provider,
        database,
        source: used?.source ?? null,
        agent,
        sources,
      },
      text: facts([
        ["user", user],
        ["home", vault.home],
        ["vault", vault.id],
        ...settings,
        ["would unlock with", text],
        ["unlock agent", agentText],
        ...sources
          .filter((each) => each !== used)
          .map(({ source, reason }) => [`not ${source}`, reason ?? ""] as const),
      ]),
    };
  });
