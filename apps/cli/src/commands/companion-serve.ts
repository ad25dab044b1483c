import { once } from "node:events";
import type { Advertisement } from "@lango/companion";
import { usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import { keepDialling } from "../cli/companion-dial.ts";
import { checkCanShow } from "../cli/companion-host.ts";
import { deviceName, identityOf } from "../cli/companion-identity.ts";
import { createJournal } from "../cli/companion-journal.ts";
import { policyOf } from "../cli/companion-policy.ts";
import { terminalPrompter } from "../cli/companion-prompter.ts";
import {
  announce,
  openListener,
  type Serving,
  servePairing,
  withRollover,
} from "../cli/companion-serving.ts";
import { interruptible } from "../cli/interrupt.ts";
import { registryProvider } from "../cli/registry-provider.ts";
import { withVault } from "../cli/vault.ts";
import { loadConfig } from "../config/load.ts";

/** Answers paired agents with the keys of this vault, until it is interrupted. */
export const run: Handler = (context, args) => {
  const dialled = args.string("connect");
  const listens = dialled === undefined || args.string("listen") !== undefined;
  if (args.flag("pair") && !listens) {
    throw usageError(
      "--pair shows a code to a device that comes here, and with --connect alone nobody can",
      'Add --listen HOST:PORT, or pair before: "lango companion pair --as companion --url URL"',
    );
  }
  if (dialled !== undefined && !/^(https|wss):$/.test(URL.parse(dialled)?.protocol ?? "")) {
    throw usageError(`--connect ${dialled} is no address`, "Use https://HOST:PORT");
  }
  if (args.flag("pair")) checkCanShow(context, args);
  else if (args.flag("compare") || args.string("code-fd") !== undefined) {
    throw usageError("--compare and --code-fd are for a pairing", "Add --pair");
  }
  return withVault(context, args, {}, async (vault, providers) => {
    const companion = await import("../cli/companion.ts");
    const { audit } = await loadConfig(context.home);
    const identity = await identityOf(context, "companion");
    const name = args.string("name") ?? deviceName();
    const prompter = terminalPrompter(context);
    const journal = createJournal(context, vault, prompter !== undefined);
    if (prompter === undefined) {
      context.note("there is no terminal to ask on: what needs a yes is denied, but for --allow");
    }
    const signer = companion.createSigner({
      ...{ keys: registryProvider({ vault, providers }, audit.anchor), name, identity },
      results: vault.companions.results,
      policy: await policyOf(vault, args),
      ...(prompter && { prompter }),
      onEvent: journal.request,
    });
    const options = {
      ...({ role: "companion", identity, name, peers: vault.companions } as const),
      handler: withRollover(vault, signer, companion.checkRollover),
      onEvent: journal.channel,
    };
    const listener = companion.createChannelListener(options);
    await interruptible(async (signal) => {
      const ended = signal.aborted ? undefined : once(signal, "abort");
      const serving: Serving = { context, args, vault, identity, name, listener, signal };
      const done = new AbortController();
      const either = AbortSignal.any([signal, done.signal]);
      const dialling =
        dialled === undefined ? undefined : keepDialling(context, dialled, options, either);
      let advertisement: Advertisement | undefined;
      try {
        if (listens) {
          const bound = await openListener(serving);
          advertisement = await announce(serving, bound);
          if (args.flag("pair")) await servePairing(serving, bound);
        }
        await ended;
      } finally {
        // What failed here would wait for ever for an agent that is dialled.
        done.abort();
        await advertisement?.close();
        await listener.close();
        await dialling;
      }
    });
    return { data: { requests: await journal.end() }, text: "" };
  });
};
