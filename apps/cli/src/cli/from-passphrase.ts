import { zero } from "@lango/crypto-core";
import { createUnlocker } from "@lango/unlock";
import { adoptDatabase } from "@lango/vault";
import { loadConfig } from "../config/load.ts";
import { type Arguments, usageError } from "./arguments.ts";
import type { Result } from "./command.ts";
import type { Context } from "./context.ts";
import { fromOriginal, isOfOriginal } from "./from-original.ts";
import { interruptible } from "./interrupt.ts";
import { hardenProcess } from "./process.ts";
import { createProgress } from "./progress.ts";
import { askSecret, canAsk, requireYes } from "./terminal.ts";
import { unlockOptions } from "./vault.ts";

const ASK = "Enter the passphrase of the database: ";

/** Takes over what a passphrase protects: a database of the original Lango, or one of this vault that another program encrypted. */
export async function fromPassphrase(context: Context, args: Arguments): Promise<Result> {
  if (args.string("database") === undefined && !isOfOriginal(context.home)) {
    return adopt(context, args);
  }
  hardenProcess();
  const passphrase = await readPassphrase(context, args);
  try {
    return await fromOriginal(context, args, passphrase);
  } finally {
    zero(passphrase);
  }
}

/** Takes a database of this vault that was encrypted with a passphrase over to the key of the vault. */
async function adopt(context: Context, args: Arguments): Promise<Result> {
  const { security } = await loadConfig(context.home);
  if (args.flag("dry-run")) {
    throw usageError(
      "Of a database of this vault there is no --dry-run: only opening it tells what it is",
    );
  }
  await requireYes(context, "Encrypt the database with the key of the vault?");
  hardenProcess();
  const databasePassphrase = await readPassphrase(context, args);
  const progress = createProgress(context, args, "encrypting");
  try {
    const done = await interruptible((signal) =>
      adoptDatabase({
        ...{ home: context.home, databasePassphrase, signal },
        onProgress: (each) => progress.update(each.done, each.total),
        unlock: createUnlocker({
          ...unlockOptions(context, args, true),
          keyringEnabled: security.keyring.enabled,
        }),
      }),
    );
    const { setSetting } = await import("../config/set.ts");
    await setSetting(context.home, "security.dbEncryption.enabled", "true");
    return {
      data: done,
      text: `The database is under the key of the vault now: ${done.rows} rows were copied and counted`,
    };
  } finally {
    progress.end();
    zero(databasePassphrase);
  }
}

async function readPassphrase(context: Context, args: Arguments): Promise<Uint8Array> {
  const { credential } = await createUnlocker({
    home: context.home,
    env: context.env,
    passphraseFd: args.number("database-passphrase-fd", 0),
    passphraseFile: args.string("database-passphrase-file"),
    optionPrefix: "database-",
    unlockWith: "passphrase",
    skipAmbient: true,
    prompt: canAsk(context) ? () => askSecret(ASK) : undefined,
    stdinFree: false,
  }).obtain([{ id: "database", kind: "passphrase" }]);
  const { secret } = credential;
  // A file ends in a newline, which nobody typed. Nothing else is changed: these bytes were given to PRAGMA key.
  const end = secret.at(-1) !== 0x0a ? 0 : secret.at(-2) === 0x0d ? 2 : 1;
  if (end === 0) return secret;
  const typed = secret.slice(0, -end);
  zero(secret);
  return typed;
}
