export type { ClientSettings, KmsClient } from "./client.ts";
export type { AwsKmsConfig } from "./config.ts";
export {
  type AwsKmsOptions,
  type AwsKmsProvider,
  createAwsKmsProvider,
  provider,
} from "./provider.ts";
