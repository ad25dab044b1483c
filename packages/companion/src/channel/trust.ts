import { constants, type KeyObject } from "node:crypto";
import type { SecureContextOptions, TLSSocket } from "node:tls";
import { type Bytes, CryptoError, toPlain } from "@lango/crypto-core";
import { isP256, keyFingerprint } from "../pairing/fingerprint.ts";
import type { Identity } from "../pairing/identity.ts";
import type { Peer, Peers, Role } from "../peers.ts";

const BINDING_LABEL = "EXPORTER-lango-companion-v1";
const BINDING_BYTES = 32;

type CommonTls = SecureContextOptions & {
  readonly ALPNProtocols: string[];
  readonly requestCert: true;
  readonly rejectUnauthorized: false;
};

/**
 * TLS as both sides speak it: 1.3 only, P-256 signatures only, no tickets.
 *
 * No authority signed these certificates, so OpenSSL cannot accept one: `verifyConnection` looks at the pin instead, before
 * anything is read or written. That the other side holds the key, OpenSSL checks in any case (RFC 8446 §4.4.3).
 */
export const tlsOptionsOf = (identity: Identity): CommonTls => ({
  key: identity.privateKeyPem,
  cert: identity.certificatePem,
  minVersion: "TLSv1.3",
  maxVersion: "TLSv1.3",
  sigalgs: "ecdsa_secp256r1_sha256",
  // Resumption shows no certificate: a ticket would outlive the pin.
  secureOptions: constants.SSL_OP_NO_TICKET,
  ALPNProtocols: ["http/1.1"],
  requestCert: true,
  rejectUnauthorized: false,
});

/** Bytes that only the two ends of this connection know (RFC 8446 §7.5). */
export const bindingOf = (connection: TLSSocket): Bytes =>
  toPlain(connection.exportKeyingMaterial(BINDING_BYTES, BINDING_LABEL, Buffer.alloc(0)));

const denied = (message: string, hint?: string): CryptoError =>
  new CryptoError("ERR_ACCESS_DENIED", message, hint === undefined ? {} : { context: { hint } });

/**
 * The key of the certificate that the other side showed and proved to hold.
 *
 * @throws CryptoError `ERR_ACCESS_DENIED` for another TLS than 1.3, a resumed session, and a certificate that is missing, not of
 *   P-256 or not valid now.
 */
export const checkCertificate = (connection: TLSSocket, now: number): PeerKey => {
  if (connection.getProtocol() !== "TLSv1.3") throw denied("The connection is not TLS 1.3");
  if (connection.isSessionReused()) throw denied("The connection resumes an earlier one");
  const certificate = connection.getPeerX509Certificate();
  if (certificate === undefined) throw denied("The other side showed no certificate");
  const { publicKey } = certificate;
  if (!isP256(publicKey)) throw denied("The certificate of the other side is not of P-256");
  if (now < certificate.validFromDate.getTime()) {
    throw denied("The certificate of the other side is not valid yet", "Compare the clocks");
  }
  if (now > certificate.validToDate.getTime()) {
    throw denied("The certificate of the other side has expired", "Pair the devices again");
  }
  const fingerprint = keyFingerprint(publicKey);
  return { publicKey, fingerprint, certificate: toPlain(certificate.raw) };
};

export interface PeerKey {
  readonly publicKey: KeyObject;
  readonly fingerprint: string;
  /** DER. Kept, because on the side that dials `node:tls` gives it once only. */
  readonly certificate: Bytes;
}

/**
 * The paired device of a pin.
 *
 * @param expected - `role`: which it must have; `id`: the device that is meant, when one is.
 * @throws CryptoError `ERR_ACCESS_DENIED` when it is not paired, suspended, of another role or another device.
 */
export const findPeer = async (
  peers: Peers,
  fingerprint: string,
  expected: { readonly role: Role; readonly id?: string | undefined },
): Promise<Peer> => {
  const peer = await peers.find(fingerprint);
  if (peer === undefined) {
    throw denied("The other side is not paired, or was revoked", "Run lango companion pair");
  }
  if (peer.state !== "active") {
    throw denied(`The device ${peer.name} is suspended`, "Confirm it after a restore");
  }
  if (peer.role !== expected.role) throw denied(`The device ${peer.name} is no ${expected.role}`);
  if (expected.id !== undefined && peer.id !== expected.id) {
    throw denied(`This is the device ${peer.name}, not the one that was meant`);
  }
  return peer;
};

export const otherRole = (role: Role): Role => (role === "agent" ? "companion" : "agent");
