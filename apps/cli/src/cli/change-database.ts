import { CryptoError, parseKeyUri } from "@lango/crypto-core";
import type { ChangedDatabase, Vault } from "@lango/vault";
import { loadConfig } from "../config/load.ts";
import type { Arguments } from "./arguments.ts";
import type { Result } from "./command.ts";
import type { Context } from "./context.ts";
import { interruptible } from "./interrupt.ts";
import { createProgress } from "./progress.ts";
import { requireYes } from "./terminal.ts";
import { withVault } from "./vault.ts";

const SETTING = "security.dbEncryption.enabled";

/**
 * Encrypts or decrypts the database, and as the last step changes the setting. Whoever was killed before that calls it again:
 * what is done is not done twice.
 */
export async function changeDatabase(
  context: Context,
  args: Arguments,
  encrypt: boolean,
): Promise<Result> {
  const { security } = await loadConfig(context.home);
  const { enabled, cipherPageSize } = security.dbEncryption;
  return withVault(context, args, { anyDatabase: true }, async (vault) => {
    const { encrypted } = vault.database.status();
    const changes = encrypted !== encrypt;
    if (args.flag("dry-run")) return planned(encrypt, changes, enabled);
    if (changes && encrypt) await refuseUnpinned(vault);
    if (changes) await requireYes(context, encrypt ? ASK_ENCRYPT : ASK_DECRYPT);
    const done = changes
      ? await change(context, args, vault, encrypt, cipherPageSize)
      : { changed: false, rows: 0 };
    // A file that others made different, or that lies elsewhere, is not changed behind their backs.
    if (enabled !== encrypt) {
      const { setSetting } = await import("../config/set.ts");
      await setSetting(context.home, SETTING, `${encrypt}`);
    }
    if (changes) sayWhatStays(context, encrypt);
    return {
      data: { ...done, database: vault.database.status(), [SETTING]: encrypt },
      text: resultText(encrypt, done, enabled !== encrypt),
    };
  });
}

/** Who opens it could not be known before the database is open: such a slot would open nothing any more. */
async function refuseUnpinned({ slots }: Vault): Promise<void> {
  const unpinned = (await slots.list()).find(
    ({ uri, companion }) =>
      uri !== undefined && parseKeyUri(uri).scheme === "rpc" && companion === undefined,
  );
  if (unpinned === undefined) return;
  throw new CryptoError(
    "ERR_CONFLICT",
    `Slot ${unpinned.id} (${unpinned.uri}) does not say which device opens it, and would open no encrypted database`,
    { context: { hint: "Remove it, and add it again: lango security slots remove, slots add" } },
  );
}

const ASK_ENCRYPT =
  "Encrypt the whole database? Names, dates and the log are then seen only by whoever opens the vault. Nothing else may use it meanwhile.";
const ASK_DECRYPT =
  "Put the database back into PLAINTEXT? Names, dates and the log can then be read by whoever has the file; the secrets stay sealed.";

const change = async (
  context: Context,
  args: Arguments,
  { database }: Vault,
  encrypt: boolean,
  cipherPageSize: number,
): Promise<ChangedDatabase> => {
  const progress = createProgress(context, args, encrypt ? "encrypting" : "decrypting");
  try {
    return await interruptible((signal) => {
      const onProgress = ({ done, total }: { done: number; total: number }) =>
        progress.update(done, total);
      return encrypt
        ? database.encrypt({ cipherPageSize, onProgress, signal })
        : database.decrypt({ onProgress, signal });
    });
  } finally {
    progress.end();
  }
};

const sayWhatStays = (context: Context, encrypt: boolean): void =>
  context.warn(
    encrypt
      ? "Backups and copies from before are still in plaintext, and an SSD or a snapshot may keep the old blocks"
      : "The database is in plaintext now: names, dates and the log are protected by the modes of the files alone",
  );

const planned = (encrypt: boolean, changes: boolean, enabled: boolean): Result => {
  const what = encrypt ? "encrypt the database" : "decrypt the database";
  const steps = [
    ...(changes ? [what] : []),
    ...(enabled === encrypt ? [] : [`set ${SETTING} to ${encrypt}`]),
  ];
  return {
    data: { dryRun: true, changes, setting: enabled !== encrypt },
    text: steps.length === 0 ? "nothing to do" : `would ${steps.join(" and ")}`,
  };
};

const resultText = (encrypt: boolean, { changed, rows }: ChangedDatabase, set: boolean): string => {
  const state = encrypt ? "encrypted" : "in plaintext";
  const what = changed
    ? `The database is ${state} now: ${rows} rows were copied and counted`
    : `The database is ${state} already`;
  return set ? `${what}; ${SETTING} is ${encrypt}` : what;
};
