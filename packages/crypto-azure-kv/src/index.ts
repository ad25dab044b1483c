export type {
  AzureCallOptions,
  AzureCredential,
  AzureCryptographyClient,
  AzureJwk,
  AzureKey,
  AzureKeyClient,
  AzureKeyProperties,
  AzureKvClient,
  AzureRemoteKey,
} from "./client.ts";
export type { AzureEncryptionAlgorithm, AzureKvConfig } from "./config.ts";
export { type AzureKvProviderOptions, createAzureKvProvider, provider } from "./provider.ts";
export type { AzurePipelineOptions } from "./sdk.ts";
