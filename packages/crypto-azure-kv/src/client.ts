/** What every call of the SDK takes. */
export interface AzureCallOptions {
  readonly abortSignal?: AbortSignal;
  /** Called with the raw answer. The SDK's own results name the key that was asked for, not the one that answered. */
  readonly onResponse?: (response: { readonly parsedBody?: unknown }) => void;
}

/** The public part of a key (RFC 7517) as the SDK has it: bytes, not base64url. */
export interface AzureJwk {
  readonly crv?: string;
  readonly n?: Uint8Array;
  readonly e?: Uint8Array;
  readonly x?: Uint8Array;
  readonly y?: Uint8Array;
}

export interface AzureKeyProperties {
  readonly name: string;
  readonly version?: string;
  readonly enabled?: boolean;
  readonly notBefore?: Date;
  readonly expiresOn?: Date;
  readonly createdOn?: Date;
}

/** One version of a key. */
export interface AzureKey {
  readonly name: string;
  readonly id?: string;
  readonly key?: AzureJwk;
  readonly keyType?: string;
  readonly keyOperations?: readonly string[];
  readonly properties: AzureKeyProperties;
}

/** The calls of `KeyClient` that are used. */
export interface AzureKeyClient {
  getKey(name: string, options: AzureCallOptions & { version?: string }): Promise<AzureKey>;
  createKey(
    name: string,
    keyType: string,
    options: AzureCallOptions & { keySize?: number; curve?: string; keyOps?: string[] },
  ): Promise<AzureKey>;
  rotateKey(name: string, options: AzureCallOptions): Promise<AzureKey>;
  getRandomBytes(count: number, options: AzureCallOptions): Promise<Uint8Array>;
  listPropertiesOfKeys(options: AzureCallOptions): AsyncIterable<AzureKeyProperties>;
  listPropertiesOfKeyVersions(
    name: string,
    options: AzureCallOptions,
  ): AsyncIterable<AzureKeyProperties>;
}

/** The calls of `CryptographyClient` that are used. */
export interface AzureCryptographyClient {
  encrypt(
    parameters: { algorithm: "RSA-OAEP-256"; plaintext: Uint8Array },
    options: AzureCallOptions,
  ): Promise<{ result: Uint8Array }>;
  decrypt(
    parameters: { algorithm: "RSA-OAEP-256" | "RSA-OAEP"; ciphertext: Uint8Array },
    options: AzureCallOptions,
  ): Promise<{ result: Uint8Array }>;
  wrapKey(
    algorithm: "RSA-OAEP-256",
    key: Uint8Array,
    options: AzureCallOptions,
  ): Promise<{ result: Uint8Array }>;
  unwrapKey(
    algorithm: "RSA-OAEP-256" | "RSA-OAEP",
    encryptedKey: Uint8Array,
    options: AzureCallOptions,
  ): Promise<{ result: Uint8Array }>;
  sign(
    algorithm: string,
    digest: Uint8Array,
    options: AzureCallOptions,
  ): Promise<{ result: Uint8Array }>;
  verify(
    algorithm: string,
    digest: Uint8Array,
    signature: Uint8Array,
    options: AzureCallOptions,
  ): Promise<{ result: boolean }>;
}

/**
 * One version of a key, as the SDK's `KeyVaultKey` without its public part. A `CryptographyClient` of it sends every
 * operation to the service: without a public key it can compute nothing here, and it asks for none.
 */
export interface AzureRemoteKey {
  readonly id: string;
  readonly name: string;
  readonly properties: { readonly name: string; readonly vaultUrl: string };
}

/** The two clients of the SDK, for programs that make their own. Their retries have to be off. */
export interface AzureKvClient {
  readonly keys: AzureKeyClient;
  /** `(key) => new CryptographyClient(key, credential, options)`. */
  cryptography(key: AzureRemoteKey): AzureCryptographyClient;
}

/** A `TokenCredential` of the SDK. */
export interface AzureCredential {
  getToken(
    scopes: string | string[],
    options?: object,
  ): Promise<{ token: string; expiresOnTimestamp: number } | null>;
}
