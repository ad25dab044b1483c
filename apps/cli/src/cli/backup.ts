// In a file of the program of its own: the ciphers of age are large, and few commands need them.
export {
  createBackup,
  finishRestore,
  openedBy,
  restoreBackup,
  verifyBackup,
} from "@lango/backup";
