import { resolve } from "node:path";
import { withSealing } from "../cli/backup-secret.ts";
import type { Handler } from "../cli/command.ts";
import { interruptible } from "../cli/interrupt.ts";
import { keepHeapSmall } from "../cli/process.ts";
import { createProgress } from "../cli/progress.ts";
import { withVault } from "../cli/vault.ts";
import { readVersion } from "../version.ts";

/** Makes one file of the vault that the age tool opens, too. */
export const run: Handler = (context, args) =>
  withVault(context, args, {}, async (vault) => {
    const file = resolve(args.string("to") ?? defaultName(vault.id));
    if (args.flag("dry-run")) {
      return { data: { dryRun: true, file }, text: `would make the backup ${file}` };
    }
    keepHeapSmall();
    const { createBackup } = await import("../cli/backup.ts");
    const { manifest, bytes, sha256 } = await withSealing(context, args, (sealing) =>
      interruptible(async (signal) => {
        const progress = createProgress(context, args, "backup");
        try {
          return await createBackup({
            ...{ vault, to: file, sealing, lango: readVersion(), signal },
            onProgress: progress.update,
          });
        } finally {
          progress.end();
        }
      }),
    );
    context.note(
      "It opens with what it was made for, and the vault in it with what opens this one: keep both, elsewhere",
    );
    if (manifest.from !== undefined) {
      context.note("The rows on the server were copied into a file, as which they are restored");
    }
    context.note("The files passphrase and master.key are not in it");
    return {
      data: { file, bytes, sha256, ...manifest },
      text: `Made ${file}, ${bytes} bytes\nsha256 ${sha256}`,
    };
  });

const defaultName = (vaultId: string): string => {
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "");
  return `lango-${vaultId.slice(0, 8)}-${stamp}Z.tar.age`;
};
