import type { Peer, Peers, Role } from "@lango/companion";

/** A paired device as test processes hand it over. */
export interface Pin {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly fingerprint: string;
}

/** Pins in memory, which can be revoked. */
export interface MemoryPeers extends Peers {
  revoke(id: string): void;
}

export const peersOf = (pins: readonly Pin[]): MemoryPeers => {
  const peers = new Map<string, Peer>(
    pins.map((pin) => [pin.id, { ...pin, state: "active", pairedAt: 0 }]),
  );
  return {
    find: async (fingerprint) =>
      [...peers.values()].find((peer) => peer.fingerprint === fingerprint),
    replacePin: async (id, fingerprint) => {
      peers.set(id, { ...peers.get(id)!, fingerprint });
    },
    revoke: (id) => {
      peers.delete(id);
    },
  };
};
