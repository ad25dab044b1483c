import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  asideOf,
  isAside,
  type Original,
  openOriginal,
  putAside,
  putBack,
  removeCopies,
} from "@lango/compat";
import { bytesEqual, CryptoError, zero } from "@lango/crypto-core";
import { withFolderLock } from "@lango/store";
import { inspectHome, type Vault } from "@lango/vault";
import { loadConfig } from "../config/load.ts";
import type { Arguments } from "./arguments.ts";
import type { Result } from "./command.ts";
import type { Context } from "./context.ts";
import { requireVault } from "./home.ts";
import { type ImportPlan, planImport } from "./import-plan.ts";
import { planned, question, resultOf, sayWhatStays } from "./import-report.ts";
import { importSecrets } from "./import-secrets.ts";
import { interruptible } from "./interrupt.ts";
import { onboard } from "./onboarding.ts";
import { vaultPlace } from "./place.ts";
import { createProgress } from "./progress.ts";
import { requireYes } from "./terminal.ts";
import { withVault } from "./vault.ts";

const SETTING = "security.dbEncryption.enabled";

/** Whether the home is for {@link fromOriginal}: it has no vault yet, or one that was made beside a database of the original. */
export const isOfOriginal = (home: string): boolean => !hasVault(home) || isAside(databaseOf(home));

const databaseOf = (home: string): string => join(home, "lango.db");
const hasVault = (home: string): boolean => existsSync(join(home, "keyslots.json"));

/**
 * Brings the secrets of a database of the original into a vault. One in the home itself is put aside, and the vault made in its
 * place, with the same passphrase where no other is given. Killed at any moment, the same command goes on.
 *
 * @param passphrase - Of the original; the caller zeroes it.
 */
export async function fromOriginal(
  context: Context,
  args: Arguments,
  passphrase: Uint8Array,
): Promise<Result> {
  const named = args.string("database");
  if (named !== undefined) await requireVault(context);
  else await refuseServer(context);
  const { home } = context;
  const own = databaseOf(home);
  const file = named === undefined ? (isAside(own) ? asideOf(own) : own) : resolve(named);
  if (existsSync(home)) removeCopies(home);
  using original = await openOriginal({ file, passphrase, workFolder: home });
  const plan = planImport(original, file);
  const makes = named === undefined && !hasVault(home);
  if (args.flag("dry-run")) return planned(context, original, plan, makes);
  await requireYes(context, question(context, plan, makes));
  if (!makes) return await bring(context, args, { original, plan, file, named, passphrase });
  await makeVault(context, args, { original, file, passphrase });
  // Read once more: until now the original could write into it.
  const aside = asideOf(own);
  using last = await openOriginal({ file: aside, passphrase, workFolder: home });
  const lastPlan = planImport(last, aside);
  return await bring(context, args, {
    ...{ original: last, plan: lastPlan, file: aside, named, passphrase },
  });
}

interface Found {
  readonly original: Original;
  readonly file: string;
  readonly passphrase: Uint8Array;
}

/** Puts the database aside, and makes a vault where it was. */
async function makeVault(
  context: Context,
  args: Arguments,
  { original, file, passphrase }: Found,
): Promise<void> {
  const { home } = context;
  const own = databaseOf(home);
  let isSame = false;
  if (!(file !== own && existsSync(own) && (await isHalfMade(home)))) {
    await withFolderLock(home, async () => putAside(own, original));
  }
  try {
    const { text, opening } = await onboard(context, {
      sources: {
        passphraseFd: args.number("passphrase-fd", 0),
        passphraseFile: args.string("passphrase-file"),
        passphraseStdin: args.flag("passphrase-stdin"),
      },
      otherwise: passphrase,
      encrypt: true,
      keep: (chosen) => {
        isSame = bytesEqual(chosen, passphrase);
        zero(chosen);
      },
    });
    context.note(text);
    context.note(`It opens with ${isSame ? "the passphrase of the original" : opening.join(", ")}`);
  } catch (error) {
    if (!hasVault(home)) await sayWhereItIs(context);
    throw error;
  }
}

/** Nobody makes a vault now: the original finds its database where it was. */
async function sayWhereItIs({ home, warn }: Context): Promise<void> {
  const own = databaseOf(home);
  if (await withFolderLock(home, async () => putBack(own)).catch(() => false)) return;
  warn(`The database of the original is ${asideOf(own)} now: run the same command again`);
}

/** Whether a vault is half made in the place of what was put aside. Not asked before that: SQLite would move the log of the original. */
const isHalfMade = async (home: string): Promise<boolean> =>
  (await inspectHome(home)) === "half-made";

/** The vault of a server is nobody's to make in passing. */
async function refuseServer(context: Context): Promise<void> {
  const { home, store } = await vaultPlace(context);
  if (store === undefined) return;
  throw new CryptoError("ERR_CONFIG", "The settings name a database server for the vault", {
    context: {
      hint: `Name the file that shall be read: --database ${databaseOf(home)}`,
    },
  });
}

interface Bring extends Found {
  readonly plan: ImportPlan;
  /** What `--database` says. */
  readonly named: string | undefined;
}

async function bring(
  context: Context,
  args: Arguments,
  { original, plan, file, named, passphrase }: Bring,
): Promise<Result> {
  const needs = {
    anyDatabase: true,
    ...(named === undefined ? { otherwise: passphrase } : {}),
  } as const;
  return withVault(context, args, needs, async (vault) => {
    const progress = createProgress(context, args, "bringing");
    const imported = await interruptible((signal) =>
      importSecrets(vault, {
        ...{ original, file, bring: plan.bring, signal },
        onProgress: progress.update,
      }),
    ).finally(progress.end);
    if (named === undefined) await setEncrypted(context, vault);
    sayWhatStays(context, original, plan, file);
    return resultOf(imported, { original, plan, file });
  });
}

/** The last step; a vault that somebody has decrypted since stays as it is. */
async function setEncrypted({ home }: Context, vault: Vault): Promise<void> {
  const { security } = await loadConfig(home);
  if (security.dbEncryption.enabled || !vault.database.status().encrypted) return;
  const { setSetting } = await import("../config/set.ts");
  await setSetting(home, SETTING, "true");
}
