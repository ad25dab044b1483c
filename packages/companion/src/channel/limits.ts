import type { ChannelLimits } from "./options.ts";

const DEFAULTS: ChannelLimits = {
  handshakeMs: 10_000,
  pingMs: 15_000,
  pongMs: 10_000,
  heartbeatMs: 5_000,
  heartbeatLossMs: 15_000,
  pinMs: 250,
  requests: 1024,
  bufferedBytes: 4 * 1024 * 1024,
};

export const limitsOf = (limits: Partial<ChannelLimits> | undefined): ChannelLimits => ({
  ...DEFAULTS,
  ...limits,
});
