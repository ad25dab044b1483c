import type { RestoredBackup } from "@lango/backup";
import { createUnlocker } from "@lango/unlock";
import { withOpening } from "../cli/backup-secret.ts";
import type { Handler } from "../cli/command.ts";
import { interruptible } from "../cli/interrupt.ts";
import { counted } from "../cli/output.ts";
import { hardenProcess, keepHeapSmall } from "../cli/process.ts";
import { createProgress } from "../cli/progress.ts";
import { openProviders } from "../cli/providers.ts";
import { unlockOptions } from "../cli/vault.ts";
import { loadConfig } from "../config/load.ts";
import { givenAddress } from "../config/store.ts";

/** Puts the vault of a backup in the place of the home, once all of it was checked. */
export const run: Handler = async (context, args) => {
  const { openedBy, restoreBackup } = await import("../cli/backup.ts");
  const file = args.positional("FILE");
  const dryRun = args.flag("dry-run");
  hardenProcess();
  keepHeapSmall();
  // Of the home: the settings in the backup are not trusted before it is opened.
  const { security } = await loadConfig(context.home);
  await using providers = await openProviders(context, security);
  const restored = await withOpening(context, args, await openedBy(file), (opening) =>
    interruptible(async (signal) => {
      const progress = createProgress(context, args, "reading");
      try {
        return await restoreBackup({
          ...{ file, home: context.home, opening, dryRun, signal },
          force: args.flag("force"),
          unlock: (slots) => {
            progress.end();
            const options = unlockOptions(context, args, true);
            return createUnlocker({
              ...options,
              keyringEnabled: security.keyring.enabled,
              providerSlots: providers.slots,
              // That of the home holds the key of the vault there, which may be another one by now.
              skipAgent: true,
            }).obtain(slots);
          },
          onProgress: progress.update,
        });
      } finally {
        progress.end();
      }
    }),
  );
  for (const { id, kind } of restored.returnedSlots ?? []) {
    context.warn(
      `slot ${id} (${kind}) had been removed since, and opens the vault again: lango security slots remove ${id}`,
    );
  }
  const elsewhere = givenAddress(context.env);
  if (elsewhere) {
    context.warn(`${elsewhere.source} is set: commands use the vault there, not the restored one`);
  }
  if (security.dbEncryption.enabled && !restored.databaseEncrypted) {
    context.warn(
      "The database of the backup is in plaintext, that of the home is not to be: lango security db-migrate",
    );
  }
  if (!dryRun) advise(restored, context.note);
  const { manifest, ...data } = restored;
  return {
    data: {
      ...(dryRun ? { dryRun } : {}),
      home: context.home,
      createdAt: manifest.createdAt,
      ...(manifest.from === undefined ? {} : { from: manifest.from }),
      ...data,
    },
    text: textOf(restored, context.home, dryRun),
  };
};

function advise(
  { setAside, suspendedCompanions, manifest: { from } }: RestoredBackup,
  note: (line: string) => void,
) {
  if (from !== undefined) {
    note(
      `Its rows were in ${from}; they are in lango.db of the home now, and the setting store says so`,
    );
    note(
      `To have them on a server again, in a database without a vault: lango store migrate --to postgres://…`,
    );
  }
  if (setAside !== undefined) {
    note(`The old home is ${setAside}, with its passphrase and master.key files if it had any`);
    note("Programs that have the old vault open must be started again");
  }
  if (suspendedCompanions > 0) {
    note("Confirm each paired device that is yours: lango companion confirm ID");
  }
}

function textOf(restored: RestoredBackup, home: string, dryRun: boolean): string {
  const { manifest, generation, secretCount, auditRows } = restored;
  const { retiredDataKeys, droppedPermits, suspendedCompanions, setAside } = restored;
  const verb = dryRun ? "would restore" : "Restored";
  return [
    `${verb} the vault of ${manifest.createdAt} to ${home}: ${counted(secretCount, "secret")}, ${counted(auditRows, "row")} of the log, all of them checked`,
    `slot generation ${generation.backup} ${dryRun ? "would become" : "became"} ${generation.now}`,
    `data keys that seal nothing new any more: ${retiredDataKeys}`,
    `grants and handles dropped: ${droppedPermits}`,
    `paired devices suspended: ${suspendedCompanions}`,
    ...(setAside === undefined ? [] : [`old home: ${setAside}`]),
  ].join("\n");
}
