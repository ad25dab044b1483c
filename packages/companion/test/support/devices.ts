import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { toPlain } from "@lango/crypto-core";
import { makeCertificate } from "../../src/pairing/certificate.ts";
import { keyFingerprint } from "../../src/pairing/fingerprint.ts";
import type { Identity } from "../../src/pairing/identity.ts";
import type { Peer, Peers, Role } from "../../src/peers.ts";

/** An identity in memory; `now` is when it is made. */
export const makeIdentity = async (name: string, now: number = Date.now()): Promise<Identity> => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const privateKeyPem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const certificatePem = await makeCertificate(privateKey, name, now);
  const certificate = new X509Certificate(certificatePem);
  return {
    certificate: toPlain(certificate.raw),
    certificatePem,
    privateKey: createPrivateKey(privateKeyPem),
    privateKeyPem,
    fingerprint: keyFingerprint(certificate.publicKey),
    notAfter: certificate.validToDate.getTime(),
  };
};

export const peerOf = (identity: Identity, role: Role, name: string = role): Peer => ({
  id: identity.fingerprint.slice(0, 21).concat("A"),
  name,
  role,
  fingerprint: identity.fingerprint,
  state: "active",
  pairedAt: 0,
});

export interface MemoryPeers extends Peers {
  readonly pins: Map<string, Peer>;
}

export const memoryPeers = (...peers: readonly Peer[]): MemoryPeers => {
  const pins = new Map(peers.map((peer) => [peer.fingerprint, peer]));
  return {
    pins,
    find: async (fingerprint) => pins.get(fingerprint),
    async replacePin(id, fingerprint) {
      const peer = [...pins.values()].find((each) => each.id === id);
      if (peer === undefined) return;
      pins.delete(peer.fingerprint);
      pins.set(fingerprint, { ...peer, fingerprint });
    },
  };
};

export interface Pair {
  readonly agent: { readonly identity: Identity; readonly peers: MemoryPeers };
  readonly companion: { readonly identity: Identity; readonly peers: MemoryPeers };
}

/** Two devices that know each other. */
export const makePair = async (): Promise<Pair> => {
  const agent = await makeIdentity("agent");
  const companion = await makeIdentity("companion");
  return {
    agent: { identity: agent, peers: memoryPeers(peerOf(companion, "companion")) },
    companion: { identity: companion, peers: memoryPeers(peerOf(agent, "agent")) },
  };
};
