import { chmodSync, lstatSync } from "node:fs";
import { createUnlocker } from "@lango/unlock";
import { acceptRollback, inspectHome, type LockedStatus, readVault } from "@lango/vault";
import { loadConfig } from "../config/load.ts";
import type { Arguments } from "./arguments.ts";
import { filesOf, forbiddenMode } from "./checks.ts";
import type { Context } from "./context.ts";
import { type VaultPlace, vaultPlace } from "./place.ts";
import { hardenProcess } from "./process.ts";
import { openProviders } from "./providers.ts";
import { requireYes } from "./terminal.ts";
import { unlockOptions, withVault } from "./vault.ts";

/**
 * Mends what is safe to mend: who may read the files, and a change of the slots that was interrupted. With
 * `--accept-rollback` also a file from earlier, after a yes. Everything else is left to a person.
 *
 * @returns What was done, and what was left, a line each.
 */
export async function mend(context: Context, args: Arguments): Promise<string[]> {
  const done = mendModes(context.home);
  const place = await vaultPlace(context);
  if ((await inspectHome(place.home, place.store)) !== "ready") {
    return done;
  }
  switch (await slotFileOf(place)) {
    case "settled":
      return done;
    case null:
      // Only opening tells, and it ends what was interrupted.
      return args.flag("accept-rollback")
        ? [...done, ...(await mendRollback(context, args))]
        : done;
    case "unfinished":
      // Opening ends it, or forgets it if it had not reached the file.
      await withVault(context, args, {}, async () => undefined);
      return [...done, "ended an interrupted change of the slots"];
    default:
      return args.flag("accept-rollback")
        ? [...done, ...(await mendRollback(context, args))]
        : [...done, "left the file that is from earlier: that is for --accept-rollback"];
  }
}

async function slotFileOf(place: VaultPlace): Promise<LockedStatus["slotFile"]> {
  await using vault = await readVault(place);
  return (await vault.status()).slotFile;
}

/** Takes files away from other users. A link, and what belongs to somebody else, is left as it is. */
function mendModes(home: string): string[] {
  const stat = lstatSync(home, { throwIfNoEntry: false });
  if (stat?.isDirectory() !== true) {
    return [];
  }
  const done = mendMode(home, 0o077);
  return [...done, ...filesOf(home).flatMap((path) => mendMode(path, forbiddenMode(path)))];
}

function mendMode(path: string, forbidden: number): string[] {
  const stat = lstatSync(path);
  const isOurs = stat.uid === process.getuid?.();
  if (!isOurs || stat.isSymbolicLink() || (stat.mode & forbidden) === 0) {
    return [];
  }
  const mode = stat.mode & 0o777 & ~forbidden;
  chmodSync(path, mode);
  return [`${path} now has mode ${mode.toString(8).padStart(4, "0")}`];
}

async function mendRollback(context: Context, args: Arguments): Promise<string[]> {
  await requireYes(
    context,
    "Go on with the older file? What was changed since is lost, and a passphrase that was replaced since may open the vault again.",
  );
  hardenProcess();
  const { security } = await loadConfig(context.home);
  await using providers = await openProviders(context, security);
  const { older, generation, retiredDataKeys, setAside } = await acceptRollback({
    ...(await vaultPlace(context)),
    unlock: createUnlocker({
      ...unlockOptions(context, args, true),
      keyringEnabled: security.keyring.enabled,
      providerSlots: providers.slots,
    }),
  });
  if (older === "none") return [];
  const what = older === "store" ? "database" : "keyslots.json";
  return [
    `accepted the older ${what}; both are of generation ${generation} now`,
    `data keys that seal nothing new any more: ${retiredDataKeys}`,
    ...setAside.map((name) => `kept the anchors of the lost rows as ${name}`),
  ];
}
