export { CIPHER_PAGE_SIZES, DEFAULT_CIPHER_PAGE_SIZE } from "./cipher.ts";
export type { CopyReads, CopyRows, RawPage, RawRow } from "./copy-types.ts";
export type { SqliteConstructor, SqliteDatabase, SqliteStatement } from "./driver.ts";
export { syncFolder, syncToDisk } from "./files.ts";
export {
  type ForeignDatabase,
  type ForeignKey,
  type OpenForeignOptions,
  openForeign,
} from "./foreign.ts";
export { withFolderLock } from "./lock.ts";
export { SCHEMA_VERSION } from "./migrations.ts";
export {
  type OpenFileOptions,
  type OpenStoreOptions,
  type OpenUrlOptions,
  openStore,
} from "./open.ts";
export { fileId, isSameFile, saltOf } from "./open-files.ts";
export { parseDatabaseUrl } from "./postgres/address.ts";
export { inspectServer, type ServerState } from "./postgres/inspect-server.ts";
export {
  type CipherState,
  RECRYPT_STAGES,
  type Recrypted,
  type RecryptOptions,
  type RecryptStage,
} from "./recrypt-types.ts";
export type {
  AuditHead,
  AuditRow,
  CompanionResultRow,
  CompanionRow,
  Counts,
  CurrentSecret,
  DataKeyRow,
  DataKeyState,
  JobRow,
  KeyRow,
  KeyslotsRow,
  KeyVersionRow,
  OrphanVersion,
  PermitRow,
  PolicyRow,
  Reseal,
  SealedVersion,
  SecretRow,
  SecretVersionInfo,
  SecretVersionRow,
  VaultRow,
  VaultState,
  VersionOfSecret,
} from "./rows.ts";
export type {
  AuditReads,
  AuditRows,
  CompanionReads,
  CompanionRows,
  DataKeyReads,
  DataKeyRows,
  Durability,
  JobReads,
  JobRows,
  KeyReads,
  KeyRows,
  KeyslotsReads,
  KeyslotsRows,
  PermitReads,
  PermitRows,
  PolicyReads,
  PolicyRows,
  SealedPage,
  SecretChange,
  SecretPage,
  SecretReads,
  SecretRows,
  Store,
  StoreReads,
  StoreTransaction,
  VaultReads,
  VaultRows,
  VersionPlace,
} from "./store.ts";
