import {
  createChannelListener,
  createPairingHost,
  loadIdentity,
  type Peer,
} from "@lango/companion";

// A companion in a process of its own: prints its URI, pairs, and then answers `status` to whom it paired.
const identity = await loadIdentity({ folder: process.argv[2] ?? "", name: "phone" });
const pins = new Map<string, Peer>();
const listener = createChannelListener({
  role: "companion",
  identity,
  peers: { find: async (fingerprint) => pins.get(fingerprint), replacePin: async () => undefined },
  handler: async ({ peer }) => ({ name: `to ${peer.name}`, asks: false, keys: 0 }),
});
const { port } = await listener.listen();
const host = createPairingHost({
  ...{ identity, role: "companion", name: "phone", mode: { kind: "code" } },
  address: { host: "127.0.0.1", port },
  store: async ({ id, name, role, fingerprint }) => {
    pins.set(fingerprint, { id, name, role, fingerprint, state: "active", pairedAt: 0 });
  },
});
listener.setPairing(host.accept);
console.log(host.uri);
const { name } = await host.done;
listener.setPairing(undefined);
console.log(`paired with ${name}`);
