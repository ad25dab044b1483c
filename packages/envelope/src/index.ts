export { parts } from "@lango/crypto-core";
export {
  createDataKey,
  type DataKey,
  newDataKeyId,
  receiveDataKey,
  type SentDataKey,
  sendDataKey,
} from "./data-key.ts";
export {
  createDataKeyCache,
  type DataKeyCache,
  type DataKeyCacheOptions,
  type DataKeyUse,
} from "./data-key-cache.ts";
export { hkdf } from "./encoding.ts";
export { fileError } from "./file-errors.ts";
export { type InheritedKeys, type InheritedName, sealInherited } from "./inherited.ts";
export { type JsonValue, jcs, parseJsonStrict } from "./json.ts";
export {
  defaultKdf,
  derivePassphraseKey,
  isBelowFloor,
  type Kdf,
  type KdfJson,
  kdfFromJson,
  kdfToJson,
  parseKdfOption,
  renewKdf,
} from "./kdf.ts";
export {
  buildKeyslots,
  type CompanionPin,
  type Keyslots,
  parseKeyslots,
  type Slot,
  type SlotKind,
  serializeKeyslots,
  verifyKeyslots,
} from "./keyslots.ts";
export { canonicalPassphrase, normalizePassphrase } from "./passphrase.ts";
export {
  type OpenOptions,
  type Recipient,
  type ResolvedRecipient,
  type ResolveRecipient,
  type SealOptions,
  userAad,
} from "./recipients.ts";
export { replaceFile } from "./replace-file.ts";
export { createOpenStream, createSealStream, open, seal } from "./sealed.ts";
export { type FilePaths, openFile, sealFile } from "./sealed-file.ts";
export { createSlot, openSlot, type SlotCredential, unwrapSlotKey } from "./slot.ts";
export { openStream, readStreamHeader, type StreamHeader, sealStream } from "./stream.ts";
export {
  MAX_VALUE_BYTES,
  openValue,
  readValueHeader,
  SEALED_OVERHEAD_BYTES,
  sealValue,
  sealValues,
  type ValueHeader,
} from "./value.ts";
export { deriveVaultKeys, type RowsKeys, type VaultKeys } from "./vault-keys.ts";
export type { UnwrappingProvider, WrappingProvider } from "./wrapping.ts";
