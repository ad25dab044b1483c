import type { KeyAlgorithm, KeyUsage, SignatureAlgorithm } from "@lango/crypto-core";

/** A signature scheme: our name, the service's (RFC 7518 §3.1, RFC 8812 §3.2) and its hash. */
export interface SchemeFacts {
  readonly jwa: string;
  readonly hash: "sha256" | "sha384" | "sha512";
  readonly hashBytes: 32 | 48 | 64;
}

export type AzureSignatureAlgorithm = Exclude<SignatureAlgorithm, "ed25519">;

export const SCHEMES: Readonly<Record<AzureSignatureAlgorithm, SchemeFacts>> = {
  "ecdsa-p256-sha256": { jwa: "ES256", hash: "sha256", hashBytes: 32 },
  "ecdsa-p384-sha384": { jwa: "ES384", hash: "sha384", hashBytes: 48 },
  "ecdsa-secp256k1-sha256": { jwa: "ES256K", hash: "sha256", hashBytes: 32 },
  "rsa-pss-sha256": { jwa: "PS256", hash: "sha256", hashBytes: 32 },
  "rsa-pss-sha384": { jwa: "PS384", hash: "sha384", hashBytes: 48 },
  "rsa-pss-sha512": { jwa: "PS512", hash: "sha512", hashBytes: 64 },
  "rsa-pkcs1-sha256": { jwa: "RS256", hash: "sha256", hashBytes: 32 },
  "rsa-pkcs1-sha384": { jwa: "RS384", hash: "sha384", hashBytes: 48 },
  "rsa-pkcs1-sha512": { jwa: "RS512", hash: "sha512", hashBytes: 64 },
};

export type AzureKeyAlgorithm = Extract<
  KeyAlgorithm,
  "ecdsa-p256" | "ecdsa-p384" | "secp256k1" | `rsa-${string}`
>;

/** What the code needs to know about one key algorithm. */
export interface KeyFacts {
  /** The service's key type, to which `-HSM` is added for keys in hardware. */
  readonly keyType: "EC" | "RSA";
  /** The service's name of the curve. */
  readonly curve?: "P-256" | "P-384" | "P-256K";
  readonly keySize?: 2048 | 3072 | 4096;
  /** Bytes of a signature: r‖s, or the modulus. */
  readonly signatureBytes: number;
  /** In the order of preference; the first is the default. */
  readonly schemes: readonly AzureSignatureAlgorithm[];
}

const RSA_SCHEMES = (Object.keys(SCHEMES) as AzureSignatureAlgorithm[]).filter((name) =>
  name.startsWith("rsa-"),
);
const rsa = (keySize: 2048 | 3072 | 4096): KeyFacts => ({
  keyType: "RSA",
  keySize,
  signatureBytes: keySize / 8,
  schemes: RSA_SCHEMES,
});

export const KEY_ALGORITHMS: Readonly<Record<AzureKeyAlgorithm, KeyFacts>> = {
  "rsa-2048": rsa(2048),
  "rsa-3072": rsa(3072),
  "rsa-4096": rsa(4096),
  "ecdsa-p256": {
    keyType: "EC",
    curve: "P-256",
    signatureBytes: 64,
    schemes: ["ecdsa-p256-sha256"],
  },
  "ecdsa-p384": {
    keyType: "EC",
    curve: "P-384",
    signatureBytes: 96,
    schemes: ["ecdsa-p384-sha384"],
  },
  secp256k1: {
    keyType: "EC",
    curve: "P-256K",
    signatureBytes: 64,
    schemes: ["ecdsa-secp256k1-sha256"],
  },
};

/** The `key_ops` of a key for one usage. */
export const KEY_OPERATIONS: Readonly<Partial<Record<KeyUsage, readonly string[]>>> = {
  encryption: ["encrypt", "decrypt", "wrapKey", "unwrapKey"],
  signing: ["sign", "verify"],
};

/** Largest plaintext of RSA-OAEP-256 (RFC 8017 §7.1.1): k − 2·hLen − 2, for a modulus of k bytes. */
export const oaepLimit = ({ keySize = 2048 }: KeyFacts): number => keySize / 8 - 2 * 32 - 2;
