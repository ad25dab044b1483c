import { constants } from "node:crypto";
import type { TlsOptions } from "node:tls";
import type { Identity } from "@lango/companion";

/** Characters of the frame that asks for a signature of 32 bytes by a P-256 key, and of its answer. */
export const REQUEST_CHARACTERS = 202;
export const ANSWER_CHARACTERS = 237;

/** The TLS of companions, for a connection without any of our code. */
export const echoTls = (identity: Identity): TlsOptions => ({
  key: identity.privateKeyPem,
  cert: identity.certificatePem,
  minVersion: "TLSv1.3",
  maxVersion: "TLSv1.3",
  sigalgs: "ecdsa_secp256r1_sha256",
  secureOptions: constants.SSL_OP_NO_TICKET,
  ALPNProtocols: ["http/1.1"],
  requestCert: true,
  rejectUnauthorized: false,
});
