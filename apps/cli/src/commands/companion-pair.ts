import type { Role } from "@lango/companion";
import { usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import { shortFingerprint } from "../cli/companion-device.ts";
import { host, listen } from "../cli/companion-host.ts";
import { deviceName, identityOf } from "../cli/companion-identity.ts";
import { type Joined, join } from "../cli/companion-join.ts";
import { interruptible } from "../cli/interrupt.ts";
import type { KeySettings } from "../cli/provider-settings.ts";
import { withVault } from "../cli/vault.ts";
import { loadConfig } from "../config/load.ts";

/** Pairs this home with another device: joins it, or with `--listen` waits for it. */
export const run: Handler = (context, args) => {
  const role = (args.string("as") ?? "agent") as Role;
  const isHost = args.string("listen") !== undefined;
  if (isHost && args.string("url") !== undefined) {
    throw usageError("--listen waits for the other device, --url goes to it: use one of them");
  }
  return withVault(context, args, {}, async (vault) => {
    const identity = await identityOf(context, role);
    const name = args.string("name") ?? deviceName();
    const store = async (peer: Parameters<typeof vault.companions.add>[0]): Promise<void> => {
      await vault.companions.add(peer);
    };
    const { security } = await loadConfig(context.home);
    const { peer, url } = await interruptible(
      async (signal): Promise<Partial<Joined> & Pick<Joined, "peer">> => {
        const own = { identity, role, name, store, signal };
        if (!isHost) return join(context, args, own, security.signer.rpcUrl);
        const { createChannelListener } = await import("../cli/companion.ts");
        const listener = createChannelListener({
          ...{ role, identity, name, peers: vault.companions },
          // Until the pairing is done, nobody has anything to ask.
          handler: () => Promise.reject(signal.reason),
        });
        try {
          const bound = await listen(listener, args);
          return { peer: await host(context, args, own, listener, bound) };
        } finally {
          await listener.close();
        }
      },
    );
    const { id, fingerprint } = peer;
    return {
      data: { id, name: peer.name, role: peer.role, fingerprint },
      text: [
        `paired with the ${peer.role} "${peer.name}", ${shortFingerprint(fingerprint)}`,
        ...(role === "agent" ? next(security.signer, url) : []),
      ].join("\n"),
    };
  });
};

/** What is left to do before its keys are used. */
function next({ provider, rpcUrl }: KeySettings["signer"], url: string | undefined): string[] {
  const settings = [
    ...(url === undefined || url === rpcUrl ? [] : [["rpcUrl", url]]),
    ...(provider === "rpc" ? [] : [["provider", "rpc"]]),
  ];
  return settings.map(([name, value], index) => {
    return `${index === 0 ? "Next:" : "     "} lango settings set security.signer.${name} ${value}`;
  });
}
