export { agentStatus, lockAgent } from "./agent/client.ts";
export type { AgentStatus } from "./agent/protocol.ts";
export { type Agent, type AgentEnd, type AgentOptions, startAgent } from "./agent/server.ts";
export {
  type ConfiguredOptions,
  type ConfiguredSecret,
  type ConfiguredSecrets,
  findVariableFaults,
  hasConfiguredSecrets,
  isEncryptionKeyVariable,
  isMasterKeyVariable,
  readConfiguredSecrets,
} from "./configured-secrets.ts";
export { isTerminal } from "./descriptor.ts";
export {
  type EncryptionKey,
  encryptionKeyLabel,
  isEncryptionKeySlot,
  readEncryptionKeys,
} from "./encryption-keys.ts";
export { keysForNewVault } from "./first-keys.ts";
export { appendNote, MAX_NOTES_BYTES, noteAgentEnd, notesPath } from "./notes.ts";
export { createOsKeyring, type OsKeyringOptions, type WritableKeyring } from "./os-keyring.ts";
export { parseMasterKey } from "./parse-master-key.ts";
export { readMasterKey } from "./read-master-key.ts";
export { newRecoveryWords, parseRecoveryWords, type RecoveryWords } from "./recovery-words.ts";
export { chmodHint } from "./secret-file.ts";
export type {
  Credential,
  CredentialKey,
  CredentialKind,
  KeyringBackend,
  KeyringEntry,
  NewPassphrase,
  NewPassphraseOptions,
  ProviderSlots,
  SkippedSource,
  SlotInfo,
  SlotKind,
  SourceDescription,
  Unlocker,
  UnlockOptions,
  UnlockResult,
  VariableFault,
} from "./types.ts";
export { createUnlocker } from "./unlocker.ts";
export { isUnlockVariable, UNLOCK_VARIABLES, withoutUnlockVariables } from "./variables.ts";
