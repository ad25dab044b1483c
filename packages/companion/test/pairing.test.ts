import { isCryptoError } from "@lango/crypto-core";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  type ChannelListener,
  createChannelListener,
  createPairingHost,
  type JoinPairingOptions,
  joinPairing,
  type PairedPeer,
  type PairingHost,
  type PairingHostOptions,
} from "../src/index.ts";
import type { Identity } from "../src/pairing/identity.ts";
import { makeIdentity, memoryPeers } from "./support/devices.ts";
import { expectCode } from "./support/expect-code.ts";

interface Rig {
  readonly listener: ChannelListener;
  readonly url: string;
  readonly host: PairingHost;
  readonly kept: { host: PairedPeer[]; joiner: PairedPeer[] };
  readonly identities: { host: Identity; joiner: Identity };
  join(options?: Partial<JoinPairingOptions>): Promise<PairedPeer>;
}

const rig = async (options: Partial<PairingHostOptions> = {}): Promise<Rig> => {
  const identities = { host: await makeIdentity("h"), joiner: await makeIdentity("j") };
  const kept: Rig["kept"] = { host: [], joiner: [] };
  const listener = createChannelListener({
    role: "companion",
    identity: identities.host,
    peers: memoryPeers(),
    handler: () => Promise.reject(new Error("nothing asks")),
  });
  onTestFinished(() => listener.close());
  const { port } = await listener.listen();
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
  const url = `https://127.0.0.1:${port}`;
  return {
    ...{ listener, url, host, kept, identities },
    join: (changes = {}) =>
      joinPairing({
        ...{ identity: identities.joiner, role: "agent", name: "build machine", url },
        store: async (peer) => void kept.joiner.push(peer),
        ...changes,
      }),
  };
};

test("a code pairs two devices, each with the pin of the other under one id", async () => {
  const { host, join, kept, identities } = await rig();
  const joined = await join({ code: host.code! });
  const paired = await host.done;
  expect(joined).toEqual({
    id: expect.stringMatching(/^[\w-]{22}$/),
    name: "Ada's phone",
    role: "companion",
    fingerprint: identities.host.fingerprint,
    certificate: identities.host.certificate,
  });
  expect(paired).toEqual({
    id: joined.id,
    name: "build machine",
    role: "agent",
    fingerprint: identities.joiner.fingerprint,
    certificate: identities.joiner.certificate,
  });
  expect(kept).toEqual({ host: [paired], joiner: [joined] });
});
