import type {
  EcdsaKeyAlgorithm,
  KeyAlgorithm,
  KeyUsage,
  MacAlgorithm,
  SignatureAlgorithm,
} from "@lango/crypto-core";

/** The algorithms of the keys that this provider holds. */
export type LocalKeyAlgorithm = Exclude<KeyAlgorithm, `rsa-${string}`>;

/** What the code needs to know about one algorithm. */
export interface AlgorithmFacts {
  readonly usage: KeyUsage;
  /** Bytes of the secret: AES or HMAC key, ECDSA scalar, Ed25519 seed. */
  readonly materialBytes: number;
  readonly mac?: { readonly algorithm: MacAlgorithm; readonly hash: string };
  readonly ecdsa?: EcdsaFacts;
  readonly signature?: SignatureAlgorithm;
}

/** How one ECDSA key algorithm signs. */
export interface EcdsaFacts {
  readonly algorithm: EcdsaKeyAlgorithm;
  readonly hash: "sha256" | "sha384";
  readonly hashBytes: number;
  /** OpenSSL's name of the curve. */
  readonly curve: string;
  /** DER of its object identifier, with tag and length. */
  readonly oid: string;
}

const hmac = (algorithm: MacAlgorithm, hash: string, bytes: number): AlgorithmFacts => ({
  usage: "mac",
  // RFC 2104 §3: a key as long as the hash; a longer one adds no strength.
  materialBytes: bytes,
  mac: { algorithm, hash },
});

/** Every algorithm of the provider; one key has one usage, and the algorithm decides which. */
export const ALGORITHMS: Readonly<Record<LocalKeyAlgorithm, AlgorithmFacts>> = {
  "aes-256-gcm": { usage: "encryption", materialBytes: 32 },
  "hmac-sha256": hmac("hmac-sha256", "sha256", 32),
  "hmac-sha384": hmac("hmac-sha384", "sha384", 48),
  "hmac-sha512": hmac("hmac-sha512", "sha512", 64),
  "ecdsa-p256": {
    usage: "signing",
    materialBytes: 32,
    signature: "ecdsa-p256-sha256",
    ecdsa: {
      algorithm: "ecdsa-p256",
      hash: "sha256",
      hashBytes: 32,
      curve: "prime256v1",
      oid: "06082a8648ce3d030107",
    },
  },
  "ecdsa-p384": {
    usage: "signing",
    materialBytes: 48,
    signature: "ecdsa-p384-sha384",
    ecdsa: {
      algorithm: "ecdsa-p384",
      hash: "sha384",
      hashBytes: 48,
      curve: "secp384r1",
      oid: "06052b81040022",
    },
  },
  secp256k1: {
    usage: "signing",
    materialBytes: 32,
    signature: "ecdsa-secp256k1-sha256",
    ecdsa: {
      algorithm: "secp256k1",
      hash: "sha256",
      hashBytes: 32,
      curve: "secp256k1",
      oid: "06052b8104000a",
    },
  },
  ed25519: { usage: "signing", materialBytes: 32, signature: "ed25519" },
};

/** Tells whether this provider can hold keys of an algorithm. */
export const isLocalAlgorithm = (algorithm: unknown): algorithm is LocalKeyAlgorithm =>
  typeof algorithm === "string" && Object.hasOwn(ALGORITHMS, algorithm);
