import { constants } from "node:crypto";
import type { TlsOptions } from "node:tls";
import type { Identity } from "@lango/companion";

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
