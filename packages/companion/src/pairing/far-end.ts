import type { TLSSocket } from "node:tls";
import { type Bytes, toPlain } from "@lango/crypto-core";
import { checkCertificate } from "../channel/trust.ts";

/** RFC 5705 §4: labels of applications begin with EXPORTER. */
const EXPORTER = "EXPORTER-lango-pairing-v1";
const EXPORTER_BYTES = 32;

/** Who is at the other end of a TLS connection. All that is known of the key is that the other end has it. */
export interface FarEnd {
  /** DER. */
  readonly certificate: Bytes;
  readonly fingerprint: string;
  /** 32 bytes that only the two ends know (RFC 8446 §7.5). */
  readonly exporter: Bytes;
}

/**
 * Looks at the other end of a connection before anything is read or said.
 *
 * @param now - Milliseconds since the epoch.
 * @throws {@link CryptoError} `ERR_ACCESS_DENIED` unless it is a new connection of TLS 1.3, with a certificate of a P-256 key that
 *   is valid now.
 */
export const farEndOf = (connection: TLSSocket, now: number): FarEnd => {
  const { certificate, fingerprint } = checkCertificate(connection, now);
  const exporter = connection.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER, Buffer.alloc(0));
  return { certificate, fingerprint, exporter: toPlain(exporter) };
};
