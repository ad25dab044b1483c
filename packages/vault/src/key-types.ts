import type { Bytes, CryptoProvider, KeyAlgorithm } from "@lango/crypto-core";
import type { AudienceOption } from "./secret-types.ts";

export type KeyType = "encryption" | "signing";

export interface CreateKeyOptions {
  /** As names of secrets, without `/`. A name in use is `ERR_CONFLICT`. */
  readonly name: string;
  readonly type: KeyType;
  /**
   * Of a local key. Default is `aes-256-gcm` for `encryption` and `hmac-sha256` for `signing`; `ecdsa-p256`, `ecdsa-p384`,
   * `secp256k1` and `ed25519` sign. Anything else is `ERR_UNSUPPORTED`.
   */
  readonly algorithm?: KeyAlgorithm | undefined;
  /**
   * URI of a key that exists at a provider, which is then registered under `name` by the provider's canonical name of it (an
   * alias by what it stands for now). Default: a new local key.
   */
  readonly uri?: string | undefined;
}
export interface KeyInfo {
  /** 24 hex characters. */
  readonly id: string;
  readonly name: string;
  /** `local:NAME`, or the URI of the provider's key. */
  readonly uri: string;
  readonly type: KeyType;
  readonly algorithm: KeyAlgorithm;
  readonly provider: string;
  readonly keyVersion: string;
  readonly state: "enabled" | "disabled";
  readonly createdAt: number;
  readonly lastUsedAt?: number | undefined;
}

/** The key registry. */
export interface Keys {
  create(options: CreateKeyOptions): Promise<KeyInfo>;
  list(): Promise<KeyInfo[]>;
  /** @param nameOrUri - `default`, `local:default` or a provider's URI. Not there: `ERR_KEY_NOT_FOUND`. */
  describe(nameOrUri: string): Promise<KeyInfo>;
  /** DER SubjectPublicKeyInfo (RFC 5280 §4.1). A key that has none is `ERR_KEY_USAGE`. */
  publicKey(nameOrUri: string): Promise<{ readonly spki: Bytes; readonly algorithm: KeyAlgorithm }>;
  /**
   * Makes a new version of a key, which is used from now on; older ones still open and verify. Data keys stay as they are
   * wrapped: `providers.rewrap({ all: true })` moves those of a provider's key.
   *
   * @throws {@link CryptoError} `ERR_UNSUPPORTED` for a provider that rotates no keys; whatever the provider throws.
   */
  rotate(nameOrUri: string): Promise<KeyInfo>;
  /** The local keys as a provider named `local`; every use is audited, as one of the audience. Closed with the vault. */
  provider(options?: AudienceOption): CryptoProvider;
}
