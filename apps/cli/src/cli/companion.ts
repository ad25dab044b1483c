// In a file of the program of its own: TLS certificates, WebSockets and schemas are large, and few commands need them.
export {
  advertiseCompanion,
  browseCompanions,
  checkRollover,
  companionUrl,
  connectChannel,
  createChannelListener,
  createCompanionSurface,
  createPairingHost,
  createSigner,
  findCompanion,
  joinPairing,
  loadIdentity,
} from "@lango/companion";
