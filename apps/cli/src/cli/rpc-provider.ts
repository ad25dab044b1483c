import type { Channel, ChannelEvent, Peers } from "@lango/companion";
import type { CryptoProvider } from "@lango/crypto-core";
import type { createReconnectingLink, createRpcProvider, Link } from "@lango/crypto-rpc";
import { deviceName, identityOf } from "./companion-identity.ts";
import type { WatchedPeers } from "./companion-peers.ts";
import { noteCompanion } from "./companion-record.ts";
import type { Context } from "./context.ts";
import { importProvider } from "./provider-packages.ts";
import type { KeySettings } from "./provider-settings.ts";

/** What answers by itself does so sooner. */
const QUIET_MS = 1500;

interface RpcPackage {
  readonly createReconnectingLink: typeof createReconnectingLink;
  readonly createRpcProvider: typeof createRpcProvider;
}

/** The way to a companion that is paired, and what is left to write down of it. */
export interface CompanionLink extends AsyncDisposable {
  readonly link: Link;
  readonly rpc: RpcPackage;
}

/**
 * A companion is dialled when it is first needed: at `security.signer.rpcUrl`, or where discovery finds one that is paired.
 */
export async function companionLink(
  context: Context,
  { rpcUrl }: Pick<KeySettings["signer"], "rpcUrl">,
  peers: WatchedPeers,
): Promise<CompanionLink> {
  const { home } = context;
  const rpc = (await importProvider("@lango/crypto-rpc", home)) as RpcPackage;
  const notes = new Set<Promise<void>>();
  const onEvent = (event: ChannelEvent): void => {
    if (event.type !== "connected") return;
    peers.connected?.(event.peer);
    notes.add(noteCompanion(home, event.peer.id, false));
  };
  const link = rpc.createReconnectingLink({
    async connect(signal) {
      const companion = await import("./companion.ts");
      const url = rpcUrl || (await discover(peers, signal));
      const identity = await identityOf(context, "agent");
      const name = deviceName();
      const options = { role: "agent", identity, name, peers, onEvent } as const;
      return saysThatItWaits(context, await companion.connectChannel({ ...options, url, signal }));
    },
  });
  return {
    link,
    rpc,
    async [Symbol.asyncDispose]() {
      await link.close();
      await Promise.all(notes);
    },
  };
}

/** A person at the companion is asked, of which whoever sits here would see nothing for up to two minutes. */
const saysThatItWaits = (context: Context, channel: Channel): Channel => ({
  ...channel,
  async call(...request) {
    const timer = setTimeout(
      () => context.note(`waiting for the companion "${channel.peer.name}" …`),
      QUIET_MS,
    );
    try {
      return await channel.call(...request);
    } finally {
      clearTimeout(timer);
    }
  },
});

/** The provider of keys on a companion. */
export async function makeRpcProvider(
  context: Context,
  signer: KeySettings["signer"],
  peers: WatchedPeers,
): Promise<CryptoProvider> {
  const companion = await companionLink(context, signer, peers);
  const { keyId } = signer;
  const provider = companion.rpc.createRpcProvider({
    link: companion.link,
    ...(keyId !== "" && { keyId }),
  });
  return {
    ...provider,
    async close() {
      await provider.close();
      await companion[Symbol.asyncDispose]();
    },
  };
}

/** What answers tell is believed by nobody: the pin is checked at the connection. */
async function discover(peers: Peers, signal: AbortSignal): Promise<string> {
  const { companionUrl, findCompanion } = await import("./companion.ts");
  const isPaired = async (fingerprint: string): Promise<boolean> =>
    (await peers.find(fingerprint))?.role === "companion";
  return companionUrl(await findCompanion({ isPaired, signal }));
}
