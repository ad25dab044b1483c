import { createUnlocker } from "@lango/unlock";
import { readQuickSettings } from "../cli/quick-settings.ts";
import type { Handler } from "../cli/command.ts";
import { facts, when } from "../cli/output.ts";
import { withReader } from "../cli/reader.ts";
import { canAsk } from "../cli/terminal.ts";

/** Shows what protects the vault. It loads no more than it needs: this is the command that scripts poll. */
export const run: Handler = (context) =>
  withReader(context, async (vault) => {
    const { signerProvider, keyringEnabled } = readQuickSettings(context.home);
    const status = await vault.status();
    const sources = await createUnlocker({
      home: context.home,
      env: context.env,
      keyringEnabled,
      // Nothing is asked; whether there is somebody to ask decides what would be used.
      prompt: canAsk(context) ? async () => undefined : undefined,
      stdinFree: true,
    }).describe(await vault.slots.list());
    const unlockSource = sources.find(({ state }) => state === "would use")?.source ?? null;
    return {
      data: {
        home: context.home,
        mode: signerProvider,
        unlockSource,
        sources,
        // Neither is asked for here: that would be a connection.
        provider: { name: signerProvider, local: signerProvider === "local" },
        companion: null,
        ...status,
      },
      text: facts([
        ["home", context.home],
        ["vault", `${status.id}, made ${when(status.createdAt)}`],
        ["mode", signerProvider],
        ["unlock source", unlockSource ?? "none"],
        ["slots", status.slots.map(({ kind, kdf }) => (kdf ? `${kind} (${kdf})` : kind)).join(", ")],
        ["keys", `${status.keyCount}`],
        ["secrets", `${status.secretCount}`],
        ["companion", "none"],
        ["degraded", status.degraded ? "yes: some data keys wait to be wrapped again" : "no"],
      ]),
    };
  });
