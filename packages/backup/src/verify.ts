import type { Manifest } from "./manifest.ts";
import { type ReadBackupOptions, readBackup } from "./read.ts";

/**
 * Reads a backup to its end and checks what age authenticates, its form, and the hash of every file. Whether the vault made it
 * shows only when the vault's key is at hand: `restoreBackup` with `dryRun`.
 *
 * @throws {@link CryptoError} as {@link readBackup}.
 */
export const verifyBackup = async (options: ReadBackupOptions): Promise<Manifest> => {
  const { manifest } = await readBackup(options, {
    begin: async () => undefined,
    async file(_entry, pieces) {
      for await (const _ of pieces);
    },
  });
  return manifest;
};
