export type { CompanionPin, RpcConfig } from "./config.ts";
export {
  type ChannelSource,
  createDialInLink,
  createReconnectingLink,
  type DialInLinkOptions,
  type Link,
  type ReconnectingLinkOptions,
} from "./link.ts";
export {
  createRpcProvider,
  type DialOptions,
  provider,
  type RpcOptions,
  type RpcProviderOptions,
} from "./provider.ts";
