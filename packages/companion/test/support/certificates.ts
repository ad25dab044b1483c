import "reflect-metadata";
import { generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { toPlain } from "@lango/crypto-core";
import { X509CertificateGenerator } from "@peculiar/x509";
import { keyFingerprint } from "../../src/pairing/fingerprint.ts";
import type { Identity } from "../../src/pairing/identity.ts";

const DAY_MS = 86_400_000;

const KINDS = {
  "P-256": {
    make: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
    algorithm: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  },
  "P-384": {
    make: () => generateKeyPairSync("ec", { namedCurve: "P-384" }),
    algorithm: { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  },
  RSA: {
    make: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
    algorithm: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  },
} as const;

export interface CertificateOptions {
  readonly kind?: keyof typeof KINDS;
  /** Whose name, serial number and dates are copied. */
  readonly like?: Identity;
  readonly notBefore?: number;
  readonly notAfter?: number;
  /** Default: a new one. */
  readonly keys?: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };
}

/** A certificate as no companion makes it. */
export const forge = async (options: CertificateOptions = {}): Promise<Identity> => {
  const { kind = "P-256", like } = options;
  const { make, algorithm } = KINDS[kind];
  const { privateKey, publicKey } = options.keys ?? make();
  const model = like && new X509Certificate(like.certificate);
  const { notBefore = model?.validFromDate.getTime() ?? Date.now() - DAY_MS } = options;
  const { notAfter = model?.validToDate.getTime() ?? Date.now() + DAY_MS } = options;
  const made = await X509CertificateGenerator.createSelfSigned({
    serialNumber: model?.serialNumber ?? "01",
    name: model?.subject ?? "CN=forged",
    notBefore: new Date(notBefore),
    notAfter: new Date(notAfter),
    keys: {
      privateKey: privateKey.toCryptoKey(algorithm, false, ["sign"]),
      publicKey: publicKey.toCryptoKey(algorithm, true, ["verify"]),
    },
    signingAlgorithm: algorithm,
  });
  const certificatePem = made.toString("pem");
  return {
    certificate: toPlain(new X509Certificate(certificatePem).raw),
    certificatePem,
    privateKey,
    privateKeyPem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    fingerprint: keyFingerprint(publicKey),
    notAfter,
  };
};
