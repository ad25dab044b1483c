import { withOpening } from "../cli/backup-secret.ts";
import type { Handler } from "../cli/command.ts";
import { facts } from "../cli/output.ts";
import { createProgress } from "../cli/progress.ts";

/** Reads a backup to its end, and checks all that can be checked without the vault's key. */
export const run: Handler = async (context, args) => {
  const { openedBy, verifyBackup } = await import("../cli/backup.ts");
  const file = args.positional("FILE");
  const manifest = await withOpening(context, args, await openedBy(file), async (opening) => {
    const progress = createProgress(context, args, "reading");
    try {
      return await verifyBackup({ file, opening, onProgress: progress.update });
    } finally {
      progress.end();
    }
  });
  context.note(
    'It is whole. That this vault made it, and that its log is sound, "lango backup restore --dry-run" checks',
  );
  return {
    data: { file, ...manifest },
    text: facts([
      ["vault", manifest.vaultId],
      ["made", manifest.createdAt],
      ["by lango", manifest.lango],
      ...(manifest.from === undefined ? [] : [["rows from", manifest.from] as const]),
      ["slot generation", `${manifest.slotGeneration}`],
      ...manifest.entries.map(({ name, size }) => [name, `${size} bytes`] as const),
    ]),
  };
};
