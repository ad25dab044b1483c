// Both are large: this file is imported only when a certificate is made.
import "reflect-metadata";
import { createPublicKey, type KeyObject, randomBytes } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  X509CertificateGenerator,
} from "@peculiar/x509";

const DAY_MS = 86_400_000;
const VALID_DAYS = 3_650;
const ECDSA_P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/**
 * A certificate of a P-256 key, signed by itself (X.509 version 3, RFC 5280 §4), valid for ten years.
 *
 * @param name - The common name, cleaned.
 * @param now - Milliseconds since the epoch.
 * @returns PEM.
 */
export const makeCertificate = async (
  privateKey: KeyObject,
  name: string,
  now: number,
): Promise<string> => {
  const signingKey = privateKey.toCryptoKey(ECDSA_P256, false, ["sign"]);
  const publicKey = createPublicKey(privateKey).toCryptoKey(ECDSA_P256, true, ["verify"]);
  // RFC 5280 §4.1.2.2: positive, at most 20 bytes.
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serial.toString("hex"),
    // As an object: a text that begins with # would be taken for hexadecimal DER.
    name: new Name([{ CN: [{ utf8String: name }] }]),
    // The clock of the other device may be behind.
    notBefore: new Date(now - DAY_MS),
    notAfter: new Date(now + VALID_DAYS * DAY_MS),
    keys: { privateKey: signingKey, publicKey },
    signingAlgorithm: ECDSA_P256,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      // Either side may dial.
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
    ],
  });
  return `${certificate.toString("pem").trimEnd()}\n`;
};
