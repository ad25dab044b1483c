import { userInfo } from "node:os";
import { createUnlocker } from "@lango/unlock";
import type { Handler } from "../cli/command.ts";
import { facts } from "../cli/output.ts";
import { withReader } from "../cli/reader.ts";
import { unlockOptions } from "../cli/vault.ts";
import { loadConfig } from "../config/load.ts";

/** Shows who works on which vault, and which source would open it. */
export const run: Handler = (context, args) =>
  withReader(context, async (vault) => {
    const { security } = await loadConfig(context.home);
    const sources = await createUnlocker({
      ...unlockOptions(context, args, true),
      keyringEnabled: security.keyring.enabled,
    }).describe(await vault.slots.list());
    const used = sources.find(({ state }) => state === "would use");
    const user = userInfo().username;
    return {
      data: { user, home: vault.home, vaultId: vault.id, source: used?.source ?? null, sources },
      text: facts([
        ["user", user],
        ["home", vault.home],
        ["vault", vault.id],
        ["unlock source", used?.source ?? "none"],
        ...sources
          .filter((each) => each !== used)
          .map(({ source, reason }) => [`not ${source}`, reason ?? ""] as const),
      ]),
    };
  });
