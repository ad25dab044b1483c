import type { Identity } from "../../src/pairing/identity.ts";
import type { Peer } from "../../src/peers.ts";
import { type MemoryPeers, peerOf } from "./devices.ts";

/** What stands under attack: a companion that listens, and its agent. */
export interface Target {
  readonly port: number;
  readonly agent: Identity;
  readonly companion: Identity;
  /** The pins of the companion. */
  readonly peers: MemoryPeers;
}

export interface Attack {
  readonly attempt: string;
  /** What the attacker gets to see; `closed` is a connection that ended without a byte of an answer. */
  readonly sees: string;
  readonly run: (target: Target) => Promise<string>;
  /** How many requests were done before the attack was seen. Default: 0. */
  readonly done?: number;
}

/** How the one is closed who broke the protocol; what it was follows. */
export const BROKE = "1002 The other side broke the protocol: ";
/** Any id. */
export const ID = "AAAAAAAAAAAAAAAAAAAAAA";

export const pin = (peers: MemoryPeers, identity: Identity, changes: Partial<Peer> = {}): void => {
  peers.pins.set(identity.fingerprint, { ...peerOf(identity, "agent"), ...changes });
};
