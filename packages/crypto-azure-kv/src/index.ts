export {
  type AzureKeyAlgorithm,
  type AzureSignatureAlgorithm,
  KEY_ALGORITHMS,
  type KeyFacts,
  SCHEMES,
  type SchemeFacts,
} from "./algorithms.ts";
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
export { INNER_CODES, NAMES, STATUSES } from "./errors.ts";
export { type AzureKvProviderOptions, createAzureKvProvider, provider } from "./provider.ts";
export type { AzurePipelineOptions } from "./sdk.ts";
