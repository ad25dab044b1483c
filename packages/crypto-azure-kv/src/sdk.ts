import type { AzureCredential, AzureKvClient } from "./client.ts";
import type { Vault } from "./vault-url.ts";

/** Options of the SDK's HTTP pipeline that a program may want to set, e.g. a proxy. */
export interface AzurePipelineOptions {
  readonly proxyOptions?: {
    readonly host: string;
    readonly port: number;
    readonly username?: string;
    readonly password?: string;
  };
  /** Certificates to trust beyond Node's own, in PEM. */
  readonly tlsOptions?: { readonly ca?: string };
}

export interface SdkOptions {
  readonly vault: Vault;
  readonly credential: AzureCredential | undefined;
  readonly pipeline: AzurePipelineOptions | undefined;
}

/** Loads the SDK and makes clients that never retry, never follow redirects and share nothing with other clients. */
export async function loadClient({
  vault,
  credential,
  pipeline,
}: SdkOptions): Promise<AzureKvClient> {
  const { CryptographyClient, KeyClient } = await import("@azure/keyvault-keys");
  const token = credential ?? (await defaultCredential(vault));
  const options = () => ({
    ...structuredClone(pipeline),
    // `createResilientProvider` retries; retries multiply (trap 9).
    retryOptions: { maxRetries: 0 },
    // A vault never redirects. Whoever answers with one chooses no host for us.
    redirectOptions: { maxRetries: 0 },
    // The SDK refuses tokens for a host that is not the challenge's; only a loopback server may ask for others.
    disableChallengeResourceVerification: vault.loopback,
  });
  return {
    // The SDK writes into the options that it is given.
    keys: new KeyClient(vault.origin, token, options()),
    cryptography: (key) => new CryptographyClient(key, token, options()),
  };
}

async function defaultCredential({ authorityHost }: Vault): Promise<AzureCredential> {
  const { DefaultAzureCredential } = await import("@azure/identity");
  return new DefaultAzureCredential(authorityHost === undefined ? {} : { authorityHost });
}
