import type {
  KeySpec,
  KeyUsageType,
  MacAlgorithmSpec,
  SigningAlgorithmSpec,
} from "@aws-sdk/client-kms";
import type {
  EcdsaKeyAlgorithm,
  KeyAlgorithm,
  KeyUsage,
  MacAlgorithm,
  SignatureAlgorithm,
} from "@lango/crypto-core";

/** KMS's words for our key algorithms. */
export const KEY_SPECS: Readonly<Record<KeyAlgorithm, KeySpec>> = {
  "aes-256-gcm": "SYMMETRIC_DEFAULT",
  "hmac-sha256": "HMAC_256",
  "hmac-sha384": "HMAC_384",
  "hmac-sha512": "HMAC_512",
  "ecdsa-p256": "ECC_NIST_P256",
  "ecdsa-p384": "ECC_NIST_P384",
  secp256k1: "ECC_SECG_P256K1",
  ed25519: "ECC_NIST_EDWARDS25519",
  "rsa-2048": "RSA_2048",
  "rsa-3072": "RSA_3072",
  "rsa-4096": "RSA_4096",
};

/** KMS's words for our key usages. `KEY_AGREEMENT` has none. */
export const KEY_USAGES: Readonly<Record<KeyUsage, KeyUsageType>> = {
  encryption: "ENCRYPT_DECRYPT",
  signing: "SIGN_VERIFY",
  mac: "GENERATE_VERIFY_MAC",
};

/** How a signature scheme is done. */
export interface SchemeFacts {
  readonly spec: SigningAlgorithmSpec;
  readonly hash: "sha256" | "sha384" | "sha512";
  readonly hashBytes: 32 | 48 | 64;
  /** Set where KMS gives DER and takes it. */
  readonly ecdsa?: EcdsaKeyAlgorithm;
}

const rsa = (spec: SigningAlgorithmSpec, hashBytes: 32 | 48 | 64): SchemeFacts => ({
  spec,
  hash: `sha${hashBytes * 8}` as SchemeFacts["hash"],
  hashBytes,
});

/**
 * The schemes of this provider, the one a key has by default before the others.
 *
 * Not Ed25519: KMS signs its messages only as they are, at most 4096 bytes, and this package sends no message. What KMS
 * makes of a digest is Ed25519ph (RFC 8032 §5.1), another scheme.
 */
export const SCHEMES: Readonly<Record<Exclude<SignatureAlgorithm, "ed25519">, SchemeFacts>> = {
  "ecdsa-p256-sha256": {
    spec: "ECDSA_SHA_256",
    hash: "sha256",
    hashBytes: 32,
    ecdsa: "ecdsa-p256",
  },
  "ecdsa-p384-sha384": {
    spec: "ECDSA_SHA_384",
    hash: "sha384",
    hashBytes: 48,
    ecdsa: "ecdsa-p384",
  },
  "ecdsa-secp256k1-sha256": {
    spec: "ECDSA_SHA_256",
    hash: "sha256",
    hashBytes: 32,
    ecdsa: "secp256k1",
  },
  "rsa-pss-sha256": rsa("RSASSA_PSS_SHA_256", 32),
  "rsa-pss-sha384": rsa("RSASSA_PSS_SHA_384", 48),
  "rsa-pss-sha512": rsa("RSASSA_PSS_SHA_512", 64),
  "rsa-pkcs1-sha256": rsa("RSASSA_PKCS1_V1_5_SHA_256", 32),
  "rsa-pkcs1-sha384": rsa("RSASSA_PKCS1_V1_5_SHA_384", 48),
  "rsa-pkcs1-sha512": rsa("RSASSA_PKCS1_V1_5_SHA_512", 64),
};

/** A scheme that this provider has. */
export type Scheme = keyof typeof SCHEMES;

/** KMS's words for our MACs, and their bytes. */
export const MACS: Readonly<
  Record<MacAlgorithm, { readonly spec: MacAlgorithmSpec; readonly bytes: number }>
> = {
  "hmac-sha256": { spec: "HMAC_SHA_256", bytes: 32 },
  "hmac-sha384": { spec: "HMAC_SHA_384", bytes: 48 },
  "hmac-sha512": { spec: "HMAC_SHA_512", bytes: 64 },
};

/** Our word for a key spec; `undefined` for keys that the contract has no word for (P-521, SM2, ML-DSA, HMAC_224). */
export function algorithmOf(spec: string | undefined): KeyAlgorithm | undefined {
  return find(KEY_SPECS, spec);
}

/** Our word for a key usage. */
export function usageOf(usage: string | undefined): KeyUsage | undefined {
  return find(KEY_USAGES, usage);
}

/** The schemes that a key of an algorithm has, the default first. */
export function schemesOf(algorithm: KeyAlgorithm): Scheme[] {
  const all = Object.keys(SCHEMES) as Scheme[];
  return all.filter((scheme) => {
    const { ecdsa } = SCHEMES[scheme];
    return ecdsa === undefined ? algorithm.startsWith("rsa-") : ecdsa === algorithm;
  });
}

function find<K extends string>(table: Readonly<Record<K, string>>, value: unknown): K | undefined {
  return (Object.keys(table) as K[]).find((key) => table[key] === value);
}
