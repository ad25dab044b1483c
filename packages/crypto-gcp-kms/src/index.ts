export type { GcpKmsClient, GcpKmsTransport } from "./client.ts";
export type { GcpKmsConfig } from "./config.ts";
export type { NewKeyProtection } from "./keys.ts";
export { createGcpKmsProvider, type GcpKmsProviderOptions, provider } from "./provider.ts";
