export { createOsKeyring, type OsKeyringOptions, type WritableKeyring } from "./os-keyring.ts";
export { parseMasterKey } from "./parse-master-key.ts";
export { readMasterKey } from "./read-master-key.ts";
export { newRecoveryWords, parseRecoveryWords, type RecoveryWords } from "./recovery-words.ts";
export { chmodHint } from "./secret-file.ts";
export type {
  Credential,
  KeyringBackend,
  KeyringEntry,
  NewPassphrase,
  NewPassphraseOptions,
  SkippedSource,
  SlotInfo,
  SlotKind,
  SourceDescription,
  Unlocker,
  UnlockOptions,
  UnlockResult,
} from "./types.ts";
export { createUnlocker } from "./unlocker.ts";
export { UNLOCK_VARIABLES, withoutUnlockVariables } from "./variables.ts";
