import type { UnlockedBy } from "@lango/vault";
import type { Handler, Result } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { interruptible } from "../cli/interrupt.ts";
import { withVault } from "../cli/vault.ts";
import { loadConfig } from "../config/load.ts";
import { clientConfig } from "../mcp/client-config.ts";
import { companionSurface } from "../mcp/companion-surface.ts";
import { takeOverConsole } from "../mcp/stderr.ts";
import { loadScanner } from "../scan/load-scanner.ts";
import { readVersion } from "../version.ts";

const INSTRUCTIONS = [
  "Secrets are used by reference: {{secret:name}} stands for a value that you never see.",
  "Get a reference with secrets_get and write it where a tool takes secrets.",
  "When you need a secret that is not there, call secrets_request; never ask for one in the conversation.",
].join(" ");

/** Serves one client until it closes its end, or a signal comes. */
export const run: Handler = async (context, args): Promise<Result> => {
  const client = args.string("print-config");
  if (client !== undefined) {
    const config = clientConfig(client, args.string("home") && context.home);
    return { data: { client, config }, text: config };
  }
  // Standard input is the protocol's: nothing is asked there, and no passphrase comes from there.
  const quiet: Context = { ...context, noInput: true };
  return withVault(quiet, args, { stdinFree: false }, (vault, providers) =>
    interruptible(async (signal) => {
      const config = await loadConfig(context.home);
      using scanner = await loadScanner(context, vault, signal);
      await using surface = await companionSurface(context, config.security.signer, vault);
      const { createMcpSession, serveMcp } = await import("../mcp/session.ts");
      using session = createMcpSession({
        ...{ vault, providers, scanner, config, surface },
        onWarning: (text) => context.warn(text),
      });
      const log = takeOverConsole(session.guard);
      tellWhoIsWho(context, vault.unlockedBy);
      await serveMcp({
        name: "lango",
        version: readVersion(),
        instructions: INSTRUCTIONS,
        tools: session.tools,
        elicitation: session.elicitation,
        signal,
        onError: (error) => log(`lango: ${error.message}`),
      });
      return {};
    }),
  );
};

/** What this server cannot keep an agent from. */
function tellWhoIsWho(context: Context, { source, ambient }: UnlockedBy): void {
  if (ambient) {
    context.warn(
      `the vault was opened by ${source}, which every process of this user can read: an agent with a shell can open it too, ` +
        "and is asked for no approval. Run agents as another user, or give the passphrase with --passphrase-fd alone",
    );
    return;
  }
  context.note(
    "serving references to secrets, never values. A process of this user can still read the memory of this one where the " +
      "system lets it; run agents as another user to prevent that",
  );
}
