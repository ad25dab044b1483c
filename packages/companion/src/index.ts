export type {
  Channel,
  ChannelCallOptions,
  IncomingRequest,
  RequestHandler,
} from "./channel/types.ts";
export type { Peer, Peers, Role } from "./peers.ts";
export type { MethodName, Methods, Params, Result } from "./protocol/methods.ts";
export type { PolicyRule, SignerPolicy } from "./signer/policy.ts";
export type { Prompter, Question } from "./signer/question.ts";
export {
  type MemoryResultsOptions,
  memoryResults,
  type ResultStore,
  type StoredResult,
} from "./signer/results.ts";
export { createSigner, type SignerEvent, type SignerOptions } from "./signer/signer.ts";
