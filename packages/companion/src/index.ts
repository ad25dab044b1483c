export type {
  Channel,
  ChannelCallOptions,
  IncomingRequest,
  RequestHandler,
} from "./channel/types.ts";
export type { Peer, Peers, Role } from "./peers.ts";
export type { MethodName, Methods, Params, Result } from "./protocol/methods.ts";
