import type {
  Advertisement,
  ChannelListener,
  checkRollover,
  Identity,
  RequestHandler,
} from "@lango/companion";
import type { Vault } from "@lango/vault";
import type { Arguments } from "./arguments.ts";
import { shortFingerprint } from "./companion-device.ts";
import { type Bound, host, isWildcard, listen, urlOf } from "./companion-host.ts";
import type { Context } from "./context.ts";
import { isInterrupted } from "./failure.ts";

/** A companion that is being started. */
export interface Serving {
  readonly context: Context;
  readonly args: Arguments;
  readonly vault: Vault;
  readonly identity: Identity;
  readonly name: string;
  readonly listener: ChannelListener;
  readonly signal: AbortSignal;
}

/** Listens, says where, and announces it on the local network. */
export async function openListener(serving: Serving): Promise<Bound> {
  const { context, args, identity, name, listener } = serving;
  const bound = await listen(listener, args);
  const fingerprint = shortFingerprint(identity.fingerprint);
  context.note(`"${name}", ${fingerprint}, listens at ${urlOf(bound)}`);
  return bound;
}

/** `undefined` where nobody on the network could come, or shall know of it. */
export async function announce(
  { args, identity: { fingerprint }, name }: Serving,
  { host, port }: Bound,
): Promise<Advertisement | undefined> {
  if (args.flag("no-advertise") || /^(127\.|::1$|localhost$)/.test(host)) return undefined;
  const { advertiseCompanion } = await import("./companion.ts");
  const address = isWildcard(host) ? undefined : host;
  return advertiseCompanion({ name, port, fingerprint, address });
}

/** Pairs one agent. That nobody came does not end what serves those who are paired. */
export async function servePairing(serving: Serving, bound: Bound): Promise<void> {
  const { context, args, vault, identity, name, listener, signal } = serving;
  const store = async (peer: Parameters<Vault["companions"]["add"]>[0]): Promise<void> => {
    await vault.companions.add(peer);
  };
  const own = { identity, role: "companion", name, store, signal } as const;
  try {
    const peer = await host(context, args, own, listener, bound);
    context.note(`paired with the agent "${peer.name}", ${shortFingerprint(peer.fingerprint)}`);
  } catch (error) {
    if (signal.aborted) return;
    // Ctrl-C at the digits ends the program, as it does without a question.
    if (isInterrupted(error)) return void process.kill(process.pid, "SIGINT");
    context.warn(`${(error as Error).message}; paired devices are served all the same`);
  }
}

/** A paired device renews its key over the channel with its old one; everything else is for the signer. */
export const withRollover =
  (vault: Vault, signer: RequestHandler, check: typeof checkRollover): RequestHandler =>
  async (request) => {
    if (request.method !== "rollover") return signer(request);
    const { binding, peer, params } = request as typeof request & { method: "rollover" };
    await vault.companions.replacePin(peer.id, check(binding, peer.fingerprint, params as never));
    return { accepted: true };
  };
