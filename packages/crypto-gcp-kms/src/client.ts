/** How the service is spoken to: gRPC over HTTP/2, or JSON over HTTP/1.1. */
export type GcpKmsTransport = "grpc" | "rest";

/**
 * What is used of the SDK's `KeyManagementServiceClient`, which fits as it is.
 *
 * The calls go to `innerApiCalls` and not to the methods of the same names, for two reasons: those write every request
 * to the SDK's log, the plaintext too, when `GOOGLE_SDK_NODE_LOGGING` is set, and they raise an unhandled rejection when
 * there are no credentials.
 */
export interface GcpKmsClient {
  /** Finds credentials and makes `innerApiCalls`. */
  initialize(): Promise<unknown>;
  readonly innerApiCalls: Readonly<Record<string, unknown>>;
  close(): Promise<void>;
}

/** Bytes of a response: `Uint8Array`; base64 and arrays are what other decoders make of them. */
export type BytesField = Uint8Array | string | readonly number[] | null | undefined;
/** `google.protobuf.Int64Value`: an object, its value alone in some JSON, a `Long` in some decoders; `null`: absent. */
export type Int64Field =
  | { readonly value?: unknown }
  | { readonly low: number; readonly high: number }
  | number
  | string
  | bigint
  | null
  | undefined;
type Flag = boolean | null | undefined;
type Text = string | null | undefined;

/** `google.cloud.kms.v1.CryptoKeyVersion`, as far as it is read. */
export interface VersionResource {
  readonly name?: Text;
  readonly state?: Text;
  readonly algorithm?: Text;
  readonly protectionLevel?: Text;
  readonly createTime?: { readonly seconds?: unknown; readonly nanos?: Text | number } | null;
}
/** `google.cloud.kms.v1.CryptoKey`, as far as it is read. */
export interface KeyResource {
  readonly name?: Text;
  readonly purpose?: Text;
  readonly primary?: VersionResource | null;
}
interface Checksum {
  readonly value: number;
}
interface Named {
  readonly name: string;
}
interface Paged {
  readonly parent: string;
  readonly pageSize: number;
  readonly pageToken?: string;
}

/** Requests and responses of the calls that are used, by method. */
export interface GcpKmsCalls {
  readonly encrypt: [
    Named & {
      readonly plaintext: Uint8Array;
      readonly plaintextCrc32c: Checksum;
      readonly additionalAuthenticatedData: Uint8Array;
      readonly additionalAuthenticatedDataCrc32c: Checksum;
    },
    {
      readonly name?: Text;
      readonly ciphertext?: BytesField;
      readonly ciphertextCrc32c?: Int64Field;
      readonly verifiedPlaintextCrc32c?: Flag;
      readonly verifiedAdditionalAuthenticatedDataCrc32c?: Flag;
    },
  ];
  readonly decrypt: [
    Named & {
      readonly ciphertext: Uint8Array;
      readonly ciphertextCrc32c: Checksum;
      readonly additionalAuthenticatedData: Uint8Array;
      readonly additionalAuthenticatedDataCrc32c: Checksum;
    },
    { readonly plaintext?: BytesField; readonly plaintextCrc32c?: Int64Field },
  ];
  readonly asymmetricSign: [
    Named & {
      readonly digest?: Readonly<Record<string, Uint8Array>>;
      readonly digestCrc32c?: Checksum;
      readonly data?: Uint8Array;
      readonly dataCrc32c?: Checksum;
    },
    {
      readonly name?: Text;
      readonly signature?: BytesField;
      readonly signatureCrc32c?: Int64Field;
      readonly verifiedDigestCrc32c?: Flag;
      readonly verifiedDataCrc32c?: Flag;
    },
  ];
  readonly macSign: [
    Named & { readonly data: Uint8Array; readonly dataCrc32c: Checksum },
    {
      readonly name?: Text;
      readonly mac?: BytesField;
      readonly macCrc32c?: Int64Field;
      readonly verifiedDataCrc32c?: Flag;
    },
  ];
  readonly macVerify: [
    Named & {
      readonly data: Uint8Array;
      readonly dataCrc32c: Checksum;
      readonly mac: Uint8Array;
      readonly macCrc32c: Checksum;
    },
    {
      readonly name?: Text;
      readonly success?: Flag;
      readonly verifiedDataCrc32c?: Flag;
      readonly verifiedMacCrc32c?: Flag;
      readonly verifiedSuccessIntegrity?: Flag;
    },
  ];
  readonly getPublicKey: [
    Named,
    {
      readonly name?: Text;
      readonly pem?: Text;
      readonly pemCrc32c?: Int64Field;
      readonly algorithm?: Text;
    },
  ];
  readonly generateRandomBytes: [
    { readonly location: string; readonly lengthBytes: number; readonly protectionLevel: "HSM" },
    { readonly data?: BytesField; readonly dataCrc32c?: Int64Field },
  ];
  readonly getCryptoKey: [Named, KeyResource];
  readonly getCryptoKeyVersion: [Named, VersionResource];
  readonly getKeyRing: [Named, { readonly name?: Text }];
  readonly listCryptoKeys: [Paged, readonly KeyResource[]];
  readonly listCryptoKeyVersions: [Paged, readonly VersionResource[]];
  readonly createCryptoKey: [
    {
      readonly parent: string;
      readonly cryptoKeyId: string;
      readonly cryptoKey: {
        readonly purpose: string;
        readonly versionTemplate: { readonly algorithm: string; readonly protectionLevel: string };
      };
    },
    KeyResource,
  ];
  readonly createCryptoKeyVersion: [
    { readonly parent: string; readonly cryptoKeyVersion: Readonly<Record<never, never>> },
    VersionResource,
  ];
  readonly updateCryptoKeyPrimaryVersion: [
    Named & { readonly cryptoKeyVersionId: string },
    KeyResource,
  ];
}

export type Method = keyof GcpKmsCalls;
export type RequestOf<M extends Method> = GcpKmsCalls[M][0];
export type ResponseOf<M extends Method> = GcpKmsCalls[M][1];

/** The options of a call of google-gax that are used. */
export interface GaxOptions {
  readonly timeout: number;
  /** `null`: no attempts but the first. */
  readonly retry: null;
  readonly autoPaginate: false;
  readonly signal?: AbortSignal;
  readonly otherArgs: { readonly headers: Readonly<Record<string, string>> };
}
/** A function of `innerApiCalls`. The second element is the request of the next page, where there is one. */
export type InnerCall<M extends Method> = (
  request: RequestOf<M>,
  options: GaxOptions,
) => Promise<[ResponseOf<M>, { readonly pageToken?: Text } | null | undefined, ...unknown[]]>;
