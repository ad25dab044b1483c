export type { OpenedBy, Opening, Sealing } from "./age.ts";
export {
  type CreateBackupOptions,
  type CreatedBackup,
  createBackup,
  type OnProgress,
} from "./create.ts";
export type { Manifest, ManifestEntry } from "./manifest.ts";
export { openedBy, type ReadBackupOptions } from "./read.ts";
export { type RestoreBackupOptions, type RestoredBackup, restoreBackup } from "./restore.ts";
export { type FinishedRestore, finishRestore } from "./staging.ts";
export { verifyBackup } from "./verify.ts";
