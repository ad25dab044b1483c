export { connectChannel } from "./channel/connect.ts";
export { createChannelListener } from "./channel/listener.ts";
export type {
  ChannelEvent,
  ChannelLimits,
  ChannelListener,
  ChannelOptions,
  ConnectOptions,
  ListenerOptions,
  PairingHandler,
} from "./channel/options.ts";
export type {
  Channel,
  ChannelCallOptions,
  IncomingRequest,
  RequestHandler,
} from "./channel/types.ts";
export {
  type Advertisement,
  type AdvertiseOptions,
  advertiseCompanion,
} from "./discovery/advertise.ts";
export {
  type BrowseOptions,
  browseCompanions,
  type FindOptions,
  findCompanion,
} from "./discovery/browse.ts";
export {
  type CompanionAddress,
  type CompanionEvent,
  companionUrl,
} from "./discovery/sightings.ts";
export { fingerprintOf } from "./pairing/fingerprint.ts";
export { createPairingHost } from "./pairing/host.ts";
export { type Identity, type LoadIdentityOptions, loadIdentity } from "./pairing/identity.ts";
export { joinPairing } from "./pairing/join.ts";
export { cleanName } from "./pairing/names.ts";
export { type Renewal, type RenewalOptions, renewIdentity } from "./pairing/renew.ts";
export { checkRollover, proveRollover, withRollover } from "./pairing/rollover.ts";
export type {
  ConfirmDigits,
  JoinPairingOptions,
  PairedPeer,
  PairingHost,
  PairingHostOptions,
  StorePeer,
} from "./pairing/types.ts";
export type { Peer, Peers, Role } from "./peers.ts";
export type { MethodName, Methods, Params, Result } from "./protocol/methods.ts";
export {
  type ApprovalSigner,
  type ApprovalStatement,
  approvalBytes,
  signApproval,
  verifyApproval,
} from "./signer/approval-signature.ts";
export {
  type CompanionSurface,
  type CompanionSurfaceOptions,
  createCompanionSurface,
  type SurfaceAnswer,
  type SurfaceRequest,
} from "./signer/companion-surface.ts";
export type { PolicyRule, SignerPolicy } from "./signer/policy.ts";
export type { Prompter, Question } from "./signer/question.ts";
export {
  type MemoryResultsOptions,
  memoryResults,
  type ResultStore,
  type StoredResult,
} from "./signer/results.ts";
export { createSigner, type SignerEvent, type SignerOptions } from "./signer/signer.ts";
