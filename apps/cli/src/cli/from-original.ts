import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  asideOf,
  isAside,
  type Original,
  openOriginal,
  putAside,
  removeCopies,
} from "@lango/compat";
import { CryptoError } from "@lango/crypto-core";
import { withFolderLock } from "@lango/store";
import { inspectHome, type Vault } from "@lango/vault";
import { loadConfig } from "../config/load.ts";
import type { Arguments } from "./arguments.ts";
import type { Result } from "./command.ts";
import type { Context } from "./context.ts";
import { requireVault } from "./home.ts";
import { type ImportPlan, planImport } from "./import-plan.ts";
import { type Imported, importSecrets } from "./import-secrets.ts";
import { interruptible } from "./interrupt.ts";
import { onboard } from "./onboarding.ts";
import { printable } from "./output.ts";
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
  if (makes) {
    if (!(file !== own && existsSync(own) && (await isHalfMade(home)))) {
      await withFolderLock(home, async () => putAside(own, original));
    }
    const { text } = await onboard(context, {
      sources: {
        passphraseFd: args.number("passphrase-fd", 0),
        passphraseFile: args.string("passphrase-file"),
        passphraseStdin: args.flag("passphrase-stdin"),
      },
      otherwise: passphrase,
      encrypt: true,
    });
    context.note(text);
  }
  const kept = named === undefined ? asideOf(own) : file;
  const needs = {
    anyDatabase: true,
    ...(named === undefined ? { otherwise: passphrase } : {}),
  } as const;
  return await withVault(context, args, needs, async (vault) => {
    const imported = await bringInto(context, args, vault, { original, file: kept, plan });
    if (named === undefined) await setEncrypted(context, vault);
    sayWhatStays(context, original, plan, kept);
    return {
      data: {
        ...imported,
        ...{ from: kept, mode: original.mode, renamed: renamed(plan), left: plan.left },
        ...{ profiles: original.profiles, tables: original.tables, vaultMade: makes },
      },
      text: resultText(imported, plan, kept),
    };
  });
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

async function bringInto(
  context: Context,
  args: Arguments,
  vault: Vault,
  { original, file, plan }: { original: Original; file: string; plan: ImportPlan },
): Promise<Imported> {
  const progress = createProgress(context, args, "bringing");
  try {
    return await interruptible((signal) =>
      importSecrets(vault, {
        ...{ original, file, bring: plan.bring, signal },
        onProgress: progress.update,
      }),
    );
  } finally {
    progress.end();
  }
}

/** The last step; a vault that somebody has decrypted since stays as it is. */
async function setEncrypted({ home }: Context, vault: Vault): Promise<void> {
  const { security } = await loadConfig(home);
  if (security.dbEncryption.enabled || !vault.database.status().encrypted) return;
  const { setSetting } = await import("../config/set.ts");
  await setSetting(home, SETTING, "true");
}

const renamed = ({ bring }: ImportPlan): Record<string, string> =>
  Object.fromEntries(
    bring.filter(({ from, name }) => from !== name).map(({ from, name }) => [from, name]),
  );

const question = ({ home }: Context, plan: ImportPlan, makes: boolean): string =>
  makes
    ? `Make a vault in ${home} and bring ${secrets(plan.bring.length)} of the original into it? Its database is kept as lango.db.original.`
    : `Bring ${secrets(plan.bring.length)} of the original into the vault in ${home}?`;

const secrets = (count: number): string => (count === 1 ? "1 secret" : `${count} secrets`);

function planned({ home }: Context, original: Original, plan: ImportPlan, makes: boolean): Result {
  const { mode, profiles, tables } = original;
  return {
    data: {
      ...{ dryRun: true, mode, vaultMade: makes, bring: plan.bring.map(({ name }) => name) },
      ...{ renamed: renamed(plan), left: plan.left, profiles, tables },
    },
    text: [
      `would ${makes ? `make a vault in ${home} and ` : ""}bring ${secrets(plan.bring.length)}`,
      ...details(plan),
    ].join("\n"),
  };
}

const resultText = ({ brought, already }: Imported, plan: ImportPlan, file: string): string =>
  [
    `Brought ${secrets(brought.length)} of ${file}, and read each of them back${already.length === 0 ? "" : `; ${already.length} were there already`}`,
    ...details(plan),
  ].join("\n");

const details = (plan: ImportPlan): string[] =>
  [
    ...Object.entries(renamed(plan)).map(([from, name]) => `"${from}" is ${name} here`),
    ...plan.left.map(({ name, reason }) => `left: "${name}", ${reason}`),
  ].map(printable);

function sayWhatStays(
  context: Context,
  { profiles, tables, otherSlots, mode }: Original,
  { left }: ImportPlan,
  file: string,
): void {
  const rows = Object.entries(tables).map(([name, count]) => `${count} of ${name}`);
  if (profiles.length > 0)
    context.note(`Left: the settings ${profiles.join(", ")}; use lango settings`);
  if (rows.length > 0) context.note(`Left, as no secrets: ${rows.join(", ")}`);
  if (otherSlots.length > 0) {
    context.note(
      `Left: what else opened the original (${otherSlots.join(", ")}); use lango security recovery setup and slots add`,
    );
  }
  if (left.length > 0) {
    context.warn(`${file} holds ${secrets(left.length)} that are nowhere else: keep it`);
    return;
  }
  const envelope = mode === "envelope" ? " and the envelope.json beside it" : "";
  context.note(
    `When nothing else of it is needed, delete ${file}${envelope} with its logs: its values can be guessed at 100,000 rounds of PBKDF2 a try`,
  );
}
