import type { TLSSocket } from "node:tls";
import { type Bytes, CryptoError, toPlain } from "@lango/crypto-core";
import { isP256, keyFingerprint } from "./fingerprint.ts";

/** RFC 5705 §4: labels of applications begin with EXPORTER. */
const EXPORTER = "EXPORTER-lango-pairing-v1";
const EXPORTER_BYTES = 32;

/** Who is at the other end of a TLS connection. Nothing is known of the key yet, but that the other end has it. */
export interface FarEnd {
  /** DER. */
  readonly certificate: Bytes;
  readonly fingerprint: string;
  /** 32 bytes that only the two ends know. */
  readonly exporter: Bytes;
}

/**
 * Looks at the other end of a connection before anything is read or said.
 *
 * @param now - Milliseconds since the epoch.
 * @throws {@link CryptoError} `ERR_ACCESS_DENIED` unless it is TLS 1.3, not resumed, with a certificate of a P-256 key that is
 *   valid now.
 */
export const farEndOf = (connection: TLSSocket, now: number): FarEnd => {
  const certificate = connection.getPeerX509Certificate();
  if (connection.getProtocol() !== "TLSv1.3" || connection.isSessionReused()) {
    throw denied("the connection is not a new one of TLS 1.3");
  }
  if (certificate === undefined) throw denied("it has no certificate");
  if (!isP256(certificate.publicKey)) throw denied("its key is not on P-256");
  const { validFromDate, validToDate } = certificate;
  if (now < validFromDate.getTime() || now > validToDate.getTime()) {
    throw denied("its certificate is not valid now");
  }
  return {
    certificate: toPlain(certificate.raw),
    fingerprint: keyFingerprint(certificate.publicKey),
    exporter: toPlain(connection.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER, Buffer.alloc(0))),
  };
};

const denied = (why: string): CryptoError =>
  new CryptoError("ERR_ACCESS_DENIED", `The other device cannot be paired: ${why}`, {
    context: { hint: "Check the date and time of both devices, and their versions of lango" },
  });
