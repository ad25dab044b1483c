import type { ResilienceOptions } from "./resilience/resilient-provider.ts";

/** Bytes that belong to the receiver: a plain `Uint8Array` over memory of its own, never a `Buffer`. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** What a key is made of. `aes-256-gcm` stands for any symmetric AEAD key that a service offers. */
export type KeyAlgorithm =
  | "aes-256-gcm"
  | "hmac-sha256"
  | "hmac-sha384"
  | "hmac-sha512"
  | "ecdsa-p256"
  | "ecdsa-p384"
  | "secp256k1"
  | "ed25519"
  | "rsa-2048"
  | "rsa-3072"
  | "rsa-4096";

/** What a key may be used for; one key, one usage. `encryption` covers encrypt, decrypt, wrapKey, unwrapKey and rewrapKey. */
export type KeyUsage = "encryption" | "signing" | "mac";

/** Signature schemes. ECDSA signatures are r‖s (IEEE P1363, RFC 7518 §3.4), 64 or 96 bytes; Ed25519 are 64 bytes (RFC 8032). */
export type SignatureAlgorithm =
  | "ecdsa-p256-sha256"
  | "ecdsa-p384-sha384"
  | "ecdsa-secp256k1-sha256"
  | "ed25519"
  | "rsa-pss-sha256"
  | "rsa-pss-sha384"
  | "rsa-pss-sha512"
  | "rsa-pkcs1-sha256"
  | "rsa-pkcs1-sha384"
  | "rsa-pkcs1-sha512";

export type MacAlgorithm = "hmac-sha256" | "hmac-sha384" | "hmac-sha512";

/** `pending` keys will be usable soon; `disabled` covers destroyed and scheduled for destruction. */
export type KeyState = "enabled" | "disabled" | "pending";

/** Where key material lives while in use. */
export type ProtectionLevel = "software" | "hsm" | "remote";

/** Every operation of the contract. */
export const OPERATIONS = [
  "encrypt",
  "decrypt",
  "sign",
  "verify",
  "mac",
  "verifyMac",
  "wrapKey",
  "unwrapKey",
  "rewrapKey",
  "getPublicKey",
  "createKey",
  "rotateKey",
  "describeKey",
  "listKeys",
  "random",
  "health",
] as const;

export type Operation = (typeof OPERATIONS)[number];

/** What a provider can do. {@link CryptoClient} rejects everything else with `ERR_UNSUPPORTED`. */
export interface ProviderCapabilities {
  /** Operations that the provider implements. The method of an operation that is not listed need not exist. */
  readonly operations: readonly Operation[];
  /** Algorithms of the keys it can create. Empty: keys are made elsewhere. */
  readonly keyAlgorithms: readonly KeyAlgorithm[];
  readonly signatureAlgorithms: readonly SignatureAlgorithm[];
  readonly macAlgorithms: readonly MacAlgorithm[];
  /** Whether `encrypt` authenticates `aad`. If false, a non-empty `aad` is refused with `ERR_UNSUPPORTED`. */
  readonly aad: boolean;
  /** Whether `wrapKey` authenticates `aad`. If false, a non-empty `aad` is refused with `ERR_UNSUPPORTED`. */
  readonly wrapAad: boolean;
  /** Largest plaintext of `encrypt` in bytes; one byte more is `ERR_INVALID_ARGUMENT`. */
  readonly maxPlaintextBytes: number;
  /** Largest AAD in bytes. */
  readonly maxAadBytes: number;
  /** Largest key that `wrapKey` takes, in bytes; at least 32 where `wrapKey` is offered. */
  readonly maxWrapBytes: number;
  /** Whether `sign` takes `digest` as well as `message`. If false, `digest` is refused with `ERR_UNSUPPORTED`. */
  readonly signDigest: boolean;
  readonly protection: ProtectionLevel;
  /** Whether calls leave the process. If true, deadlines, retries and a breaker apply when it is composed. */
  readonly remote: boolean;
  /**
   * What `createResilientProvider` uses unless it is told otherwise: for a provider that waits for people, or that repeats
   * requests by itself. Default: the defaults there.
   */
  readonly resilience?: ResilienceOptions | undefined;
}

/** What every request may carry. */
export interface CallOptions {
  /** Aborting rejects the call with `signal.reason`; a result that comes later is zeroed and dropped. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds from the call until it fails with `ERR_TIMEOUT`. Default: that of the deadline decorator. */
  readonly timeoutMs?: number | undefined;
}

/** A request on one key. `keyId` is the provider's own name of it; for a composite it is the whole key URI. */
export interface KeyRequest extends CallOptions {
  readonly keyId: string;
}

/** Which key did the work. */
export interface KeyResult {
  readonly keyId: string;
  /** The version that was used, in the provider's own words; `"1"` where keys have no versions. */
  readonly keyVersion: string;
}

export interface EncryptRequest extends KeyRequest {
  /** 0 to {@link ProviderCapabilities.maxPlaintextBytes} bytes; not changed, not kept. */
  readonly plaintext: Uint8Array;
  /** Authenticated, not encrypted, not stored: pass the same bytes to `decrypt`. Absent and empty mean the same. */
  readonly aad?: Uint8Array | undefined;
}
export interface EncryptResult extends KeyResult {
  /** In the provider's own format; it need not be readable by another provider. */
  readonly ciphertext: Bytes;
  /** Set by a composite when the fallback did the work; see {@link KeyResult.keyId} for which key. */
  readonly degraded?: true;
}
export interface DecryptRequest extends KeyRequest {
  readonly ciphertext: Uint8Array;
  readonly aad?: Uint8Array | undefined;
  /** The version that `encrypt` named. Providers whose ciphertext names its version ignore it. */
  readonly keyVersion?: string | undefined;
}

/**
 * Exactly one of `message` and `digest` (already hashed). The provider package hashes a message and never sends it whole to a
 * service. A companion is one's own device: it gets the message, so that a person sees there what is signed.
 */
export type Signable =
  | { readonly message: Uint8Array; readonly digest?: undefined }
  | { readonly digest: Uint8Array; readonly message?: undefined };

export type SignRequest = KeyRequest &
  Signable & {
    /** Default: the only or the first scheme that the key's algorithm allows. */
    readonly algorithm?: SignatureAlgorithm | undefined;
  };
export interface SignResult extends KeyResult {
  readonly signature: Bytes;
  readonly algorithm: SignatureAlgorithm;
}
export type VerifyRequest = KeyRequest &
  Signable & {
    readonly signature: Uint8Array;
    readonly algorithm?: SignatureAlgorithm | undefined;
    /** Default: every enabled version is not tried; the current one is. */
    readonly keyVersion?: string | undefined;
  };

export interface MacRequest extends KeyRequest {
  readonly message: Uint8Array;
}
export interface MacResult extends KeyResult {
  readonly mac: Bytes;
  readonly algorithm: MacAlgorithm;
}
export interface VerifyMacRequest extends MacRequest {
  readonly mac: Uint8Array;
  readonly keyVersion?: string | undefined;
}

export interface WrapKeyRequest extends KeyRequest {
  /** The key to wrap: 16 to {@link ProviderCapabilities.maxWrapBytes} bytes; not changed, not kept. */
  readonly key: Uint8Array;
  readonly aad?: Uint8Array | undefined;
}
export interface WrapKeyResult extends KeyResult {
  readonly wrappedKey: Bytes;
  /** As in {@link EncryptResult}; only where the composite was told to let `wrapKey` fall back. */
  readonly degraded?: true;
}
export interface UnwrapKeyRequest extends KeyRequest {
  readonly wrappedKey: Uint8Array;
  readonly aad?: Uint8Array | undefined;
  readonly keyVersion?: string | undefined;
}

/** `keyId` is the key that it is wrapped under now. */
export interface RewrapKeyRequest extends UnwrapKeyRequest {
  /** The key to wrap it under from now on, of the same provider; the same key moves it to the current version. */
  readonly toKeyId: string;
}

export interface PublicKeyRequest extends KeyRequest {
  readonly keyVersion?: string | undefined;
}
export interface PublicKeyResult extends KeyResult {
  /** DER SubjectPublicKeyInfo (RFC 5280 §4.1). */
  readonly publicKey: Bytes;
  readonly algorithm: KeyAlgorithm;
}

export interface CreateKeyRequest extends CallOptions {
  /** The name to create it under. Default: the service chooses. A name in use is `ERR_CONFLICT`. */
  readonly keyId?: string | undefined;
  readonly algorithm: KeyAlgorithm;
  readonly usage: KeyUsage;
}

export interface KeyDescription extends KeyResult {
  readonly algorithm: KeyAlgorithm;
  readonly usage: KeyUsage;
  readonly state: KeyState;
  readonly protection: ProtectionLevel;
  /** Milliseconds since the epoch, where the service says. */
  readonly createdAt?: number | undefined;
}

export interface RandomRequest extends CallOptions {
  /** 1 to 1024. */
  readonly bytes: number;
}

export interface HealthRequest extends CallOptions {
  /** The key whose metadata is read. Default: the cheapest thing the provider can ask. */
  readonly keyId?: string | undefined;
}
export interface HealthReport {
  readonly healthy: boolean;
  /** Milliseconds since the epoch. */
  readonly checkedAt: number;
  readonly latencyMs: number;
  /** Why it is not healthy; no secret, one line. */
  readonly reason?: string;
}

/**
 * What a provider package implements. Applications use {@link CryptoClient}, which checks arguments and
 * capabilities, maps cancellation and closes once, so that providers need not.
 *
 * Every method rejects with a {@link CryptoError}; an aborted call rejects with `signal.reason`. Results share
 * no memory with inputs and inputs are not changed.
 */
export interface CryptoProvider {
  /** Stable lower-case name used in key URIs, errors and logs, e.g. `aws-kms`. */
  readonly name: string;
  readonly capabilities: ProviderCapabilities;

  /**
   * Encrypts and authenticates (AEAD, RFC 5116). Two calls with equal arguments give different ciphertexts.
   *
   * @throws {@link CryptoError} `ERR_KEY_NOT_FOUND`, `ERR_KEY_DISABLED`, `ERR_KEY_USAGE`, `ERR_ACCESS_DENIED`,
   *   `ERR_RATE_LIMITED`, `ERR_UNAVAILABLE`.
   */
  encrypt(request: EncryptRequest): Promise<EncryptResult>;
  /**
   * Opens what `encrypt` made.
   *
   * @throws {@link CryptoError} `ERR_DECRYPTION_FAILED` for a wrong key, wrong AAD or altered bytes alike.
   */
  decrypt(request: DecryptRequest): Promise<Bytes>;
  sign?(request: SignRequest): Promise<SignResult>;
  /** Resolves `false` for a signature that does not verify; rejects only when it could not check. */
  verify?(request: VerifyRequest): Promise<boolean>;
  mac?(request: MacRequest): Promise<MacResult>;
  verifyMac?(request: VerifyMacRequest): Promise<boolean>;
  /** Encrypts a key under a key. What `wrapKey` made, `decrypt` does not open, and the other way round, where the service allows. */
  wrapKey?(request: WrapKeyRequest): Promise<WrapKeyResult>;
  unwrapKey?(request: UnwrapKeyRequest): Promise<Bytes>;
  /**
   * Wraps a wrapped key under another key of the same provider. Offered where the key that is wrapped does not leave the
   * provider for it; callers unwrap and wrap elsewhere. The AAD stays the same.
   *
   * @returns The new wrap, with the name and version of the key `toKeyId`; the old one still opens.
   * @throws {@link CryptoError} What `unwrapKey` throws for `keyId`, and `wrapKey` for `toKeyId`.
   */
  rewrapKey?(request: RewrapKeyRequest): Promise<WrapKeyResult>;
  getPublicKey?(request: PublicKeyRequest): Promise<PublicKeyResult>;
  createKey?(request: CreateKeyRequest): Promise<KeyDescription>;
  /** Makes a new version the current one; older versions still decrypt and verify. */
  rotateKey?(request: KeyRequest): Promise<KeyDescription>;
  describeKey(request: KeyRequest): Promise<KeyDescription>;
  listKeys?(request: CallOptions): AsyncIterable<KeyDescription>;
  random?(request: RandomRequest): Promise<Bytes>;
  /** A cheap metadata read; never an encrypt round trip. Resolves with `healthy: false` rather than rejecting. */
  health(request: HealthRequest): Promise<HealthReport>;
  /** Zeroes what it holds. Idempotent; later calls reject with `ERR_CLOSED`. */
  close(): Promise<void>;
}

/** Checks a piece of configuration: returns it typed, or throws `ERR_CONFIG` naming the path of every fault. */
export interface ConfigSchema<C> {
  parse(input: unknown): C;
}

/** Where a provider may read its settings that are no configuration: credentials and PINs, never copied or logged. */
export type ProviderEnv = Readonly<Record<string, string | undefined>>;

/** What a provider package exports as `provider`, so that `loadProvider` can find it by name. */
export interface ProviderModule<C = unknown> {
  readonly name: string;
  readonly configSchema: ConfigSchema<C>;
  create(config: C, env: ProviderEnv): CryptoProvider | Promise<CryptoProvider>;
}
