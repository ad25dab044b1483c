import { onTestFinished } from "vitest";
import {
  type ChannelListener,
  createChannelListener,
  createPairingHost,
  type JoinPairingOptions,
  joinPairing,
  type PairedPeer,
  type PairingHost,
  type PairingHostOptions,
} from "../../src/index.ts";
import type { Identity } from "../../src/pairing/identity.ts";
import { makeIdentity, memoryPeers } from "./devices.ts";

export interface Rig {
  readonly listener: ChannelListener;
  readonly port: number;
  readonly host: PairingHost;
  /** What each side was told to keep. */
  readonly kept: { readonly host: PairedPeer[]; readonly joiner: PairedPeer[] };
  readonly identities: { readonly host: Identity; readonly joiner: Identity };
  join(options?: Partial<JoinPairingOptions>): Promise<PairedPeer>;
}

export const listenerOf = async (
  identity: Identity,
): Promise<{ listener: ChannelListener; port: number }> => {
  const listener = createChannelListener({
    role: "companion",
    identity,
    peers: memoryPeers(),
    handler: () => Promise.reject(new Error("nothing asks")),
  });
  onTestFinished(() => listener.close());
  return { listener, port: (await listener.listen()).port };
};

/** A companion with an open pairing behind a real listener, and an agent that may join. */
export const makeRig = async (options: Partial<PairingHostOptions> = {}): Promise<Rig> => {
  const identities = { host: await makeIdentity("h"), joiner: await makeIdentity("j") };
  const kept: Rig["kept"] = { host: [], joiner: [] };
  const { listener, port } = await listenerOf(identities.host);
  const host = createPairingHost({
    identity: identities.host,
    role: "companion",
    name: "Ada's phone",
    mode: { kind: "code" },
    address: { host: "127.0.0.1", port },
    store: async (peer) => void kept.host.push(peer),
    ...options,
  });
  onTestFinished(() => host.cancel());
  listener.setPairing(host.accept);
  return {
    ...{ listener, port, host, kept, identities },
    join: (changes = {}) =>
      joinPairing({
        identity: identities.joiner,
        role: "agent",
        name: "build machine",
        url: `https://127.0.0.1:${port}`,
        store: async (peer) => void kept.joiner.push(peer),
        ...changes,
      }),
  };
};
