import type {
  CreateAliasCommandInput,
  CreateAliasCommandOutput,
  CreateKeyCommandInput,
  CreateKeyCommandOutput,
  DecryptCommandInput,
  DecryptCommandOutput,
  DescribeKeyCommandInput,
  DescribeKeyCommandOutput,
  EncryptCommandInput,
  EncryptCommandOutput,
  GenerateMacCommandInput,
  GenerateMacCommandOutput,
  GenerateRandomCommandInput,
  GenerateRandomCommandOutput,
  GetPublicKeyCommandInput,
  GetPublicKeyCommandOutput,
  KMSClient,
  KMSClientConfig,
  ListKeysCommandInput,
  ListKeysCommandOutput,
  ReEncryptCommandInput,
  ReEncryptCommandOutput,
  RotateKeyOnDemandCommandInput,
  RotateKeyOnDemandCommandOutput,
  ScheduleKeyDeletionCommandInput,
  ScheduleKeyDeletionCommandOutput,
  SignCommandInput,
  SignCommandOutput,
  VerifyCommandInput,
  VerifyCommandOutput,
  VerifyMacCommandInput,
  VerifyMacCommandOutput,
} from "@aws-sdk/client-kms";

/** The calls of the service that this package makes: what goes in, what comes out. */
export interface Calls {
  CreateAlias: [CreateAliasCommandInput, CreateAliasCommandOutput];
  CreateKey: [CreateKeyCommandInput, CreateKeyCommandOutput];
  Decrypt: [DecryptCommandInput, DecryptCommandOutput];
  DescribeKey: [DescribeKeyCommandInput, DescribeKeyCommandOutput];
  Encrypt: [EncryptCommandInput, EncryptCommandOutput];
  GenerateMac: [GenerateMacCommandInput, GenerateMacCommandOutput];
  GenerateRandom: [GenerateRandomCommandInput, GenerateRandomCommandOutput];
  GetPublicKey: [GetPublicKeyCommandInput, GetPublicKeyCommandOutput];
  ListKeys: [ListKeysCommandInput, ListKeysCommandOutput];
  ReEncrypt: [ReEncryptCommandInput, ReEncryptCommandOutput];
  RotateKeyOnDemand: [RotateKeyOnDemandCommandInput, RotateKeyOnDemandCommandOutput];
  ScheduleKeyDeletion: [ScheduleKeyDeletionCommandInput, ScheduleKeyDeletionCommandOutput];
  Sign: [SignCommandInput, SignCommandOutput];
  Verify: [VerifyCommandInput, VerifyCommandOutput];
  VerifyMac: [VerifyMacCommandInput, VerifyMacCommandOutput];
}

/** The part of the SDK's `KMSClient` that is used; a client of another version of the SDK, or a stand-in, fits too. */
export interface KmsClient {
  send(command: never, options: { readonly abortSignal?: AbortSignal }): Promise<unknown>;
  readonly config: {
    readonly region: () => Promise<string>;
    /** Asked for fresh credentials when the service says that the old ones have expired. */
    readonly credentials?: (options: { readonly forceRefresh: true }) => Promise<unknown>;
  };
  destroy(): void;
}

/** Where the service is and who asks, as far as the SDK's own chain shall not decide it. */
export interface ClientSettings {
  /** Default: the SDK's chain (`AWS_REGION`, the shared configuration files). */
  readonly region?: string | undefined;
  /** Default: the service's own endpoint of the region; FIPS and dual-stack as the SDK's chain says. */
  readonly endpoint?: string | undefined;
  /**
   * A function that gives credentials, asked anew before they expire; or fixed ones. Default: the SDK's chain.
   */
  readonly credentials?: KMSClientConfig["credentials"];
}

type Sdk = typeof import("@aws-sdk/client-kms");

/** A client that is made at its first use. */
export interface LazyClient {
  get(): Promise<KmsClient>;
  send<N extends keyof Calls>(
    name: N,
    input: Calls[N][0],
    signal: AbortSignal | undefined,
  ): Promise<Calls[N][1]>;
  /** Ends connections of a client that was made here. */
  destroy(): void;
}

/** Wraps the caller's client, or the settings of one. */
export function createLazyClient(from: KmsClient | ClientSettings): LazyClient {
  let made: KMSClient | undefined;
  let sdk: Promise<Sdk> | undefined;
  // The first use, not the import of this package, loads the SDK: most runs of a program that has it never call AWS.
  // Kept, because an `import()` of what is loaded already still costs a tenth of a millisecond.
  const loadSdk = (): Promise<Sdk> => {
    sdk ??= import("@aws-sdk/client-kms");
    return sdk;
  };
  const get = async (): Promise<KmsClient> => {
    if ("send" in from) return from;
    const { KMSClient } = await loadSdk();
    made ??= new KMSClient({
      // Retries are crypto-core's: two layers of them would multiply.
      maxAttempts: 1,
      ...(from.region !== undefined && { region: from.region }),
      ...(from.endpoint !== undefined && { endpoint: from.endpoint }),
      ...(from.credentials !== undefined && { credentials: from.credentials }),
    });
    return made as unknown as KmsClient;
  };
  return {
    get,
    async send(name, input, signal) {
      const [client, sdk] = await Promise.all([get(), loadSdk()]);
      const Command = sdk[`${name}Command`] as new (input: never) => unknown;
      const command = new Command(input as never);
      const options = signal === undefined ? {} : { abortSignal: signal };
      return (await client.send(command as never, options)) as Calls[typeof name][1];
    },
    destroy: () => made?.destroy(),
  };
}
