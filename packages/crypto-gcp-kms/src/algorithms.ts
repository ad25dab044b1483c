import type {
  EcdsaKeyAlgorithm,
  KeyAlgorithm,
  KeyUsage,
  MacAlgorithm,
  SignatureAlgorithm,
} from "@lango/crypto-core";

/** What the code needs to know about one `CryptoKeyVersionAlgorithm`. */
export interface AlgorithmFacts {
  readonly algorithm: KeyAlgorithm;
  readonly usage: KeyUsage;
  readonly signature?: SignatureAlgorithm;
  /** What the service signs: a digest of this hash. Absent: the message itself. */
  readonly hash?: "sha256" | "sha384" | "sha512";
  readonly ecdsa?: EcdsaKeyAlgorithm;
  readonly mac?: { readonly algorithm: MacAlgorithm; readonly bytes: number };
}

const ecdsa = (
  algorithm: EcdsaKeyAlgorithm,
  signature: SignatureAlgorithm,
  hash: "sha256" | "sha384",
): AlgorithmFacts => ({ algorithm, usage: "signing", signature, hash, ecdsa: algorithm });

const rsa = (
  algorithm: KeyAlgorithm,
  padding: "pss" | "pkcs1",
  hash: "sha256" | "sha512",
): AlgorithmFacts => ({ algorithm, usage: "signing", signature: `rsa-${padding}-${hash}`, hash });

const hmac = (algorithm: MacAlgorithm, bytes: number): AlgorithmFacts => ({
  algorithm,
  usage: "mac",
  mac: { algorithm, bytes },
});

/**
 * The service's algorithms that this provider uses. The others are left out on purpose: raw AES and RSA without
 * encoding, OAEP, SHA-1 and SHA-224, post-quantum.
 *
 * @see https://cloud.google.com/kms/docs/algorithms
 */
export const ALGORITHMS: Readonly<Record<string, AlgorithmFacts>> = {
  GOOGLE_SYMMETRIC_ENCRYPTION: { algorithm: "aes-256-gcm", usage: "encryption" },
  EXTERNAL_SYMMETRIC_ENCRYPTION: { algorithm: "aes-256-gcm", usage: "encryption" },
  EC_SIGN_P256_SHA256: ecdsa("ecdsa-p256", "ecdsa-p256-sha256", "sha256"),
  EC_SIGN_P384_SHA384: ecdsa("ecdsa-p384", "ecdsa-p384-sha384", "sha384"),
  EC_SIGN_SECP256K1_SHA256: ecdsa("secp256k1", "ecdsa-secp256k1-sha256", "sha256"),
  EC_SIGN_ED25519: { algorithm: "ed25519", usage: "signing", signature: "ed25519" },
  RSA_SIGN_PSS_2048_SHA256: rsa("rsa-2048", "pss", "sha256"),
  RSA_SIGN_PSS_3072_SHA256: rsa("rsa-3072", "pss", "sha256"),
  RSA_SIGN_PSS_4096_SHA256: rsa("rsa-4096", "pss", "sha256"),
  RSA_SIGN_PSS_4096_SHA512: rsa("rsa-4096", "pss", "sha512"),
  RSA_SIGN_PKCS1_2048_SHA256: rsa("rsa-2048", "pkcs1", "sha256"),
  RSA_SIGN_PKCS1_3072_SHA256: rsa("rsa-3072", "pkcs1", "sha256"),
  RSA_SIGN_PKCS1_4096_SHA256: rsa("rsa-4096", "pkcs1", "sha256"),
  RSA_SIGN_PKCS1_4096_SHA512: rsa("rsa-4096", "pkcs1", "sha512"),
  HMAC_SHA256: hmac("hmac-sha256", 32),
  HMAC_SHA384: hmac("hmac-sha384", 48),
  HMAC_SHA512: hmac("hmac-sha512", 64),
};

/** The service's algorithm that a new key gets. An RSA key signs with one scheme only: PSS with SHA-256. */
export const NEW_KEYS: Readonly<Record<KeyAlgorithm, string>> = {
  "aes-256-gcm": "GOOGLE_SYMMETRIC_ENCRYPTION",
  "hmac-sha256": "HMAC_SHA256",
  "hmac-sha384": "HMAC_SHA384",
  "hmac-sha512": "HMAC_SHA512",
  "ecdsa-p256": "EC_SIGN_P256_SHA256",
  "ecdsa-p384": "EC_SIGN_P384_SHA384",
  secp256k1: "EC_SIGN_SECP256K1_SHA256",
  ed25519: "EC_SIGN_ED25519",
  "rsa-2048": "RSA_SIGN_PSS_2048_SHA256",
  "rsa-3072": "RSA_SIGN_PSS_3072_SHA256",
  "rsa-4096": "RSA_SIGN_PSS_4096_SHA256",
};

/** `CryptoKey.purpose` of each usage. */
export const PURPOSES: Readonly<Record<KeyUsage, string>> = {
  encryption: "ENCRYPT_DECRYPT",
  signing: "ASYMMETRIC_SIGN",
  mac: "MAC",
};
