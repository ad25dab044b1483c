import type { OpenedBy, Opening, Sealing } from "@lango/backup";
import { type Bytes, zero } from "@lango/crypto-core";
import { canonicalPassphrase, normalizePassphrase } from "@lango/envelope";
import { createUnlocker, type UnlockOptions } from "@lango/unlock";
import { type Arguments, usageError } from "./arguments.ts";
import type { Context } from "./context.ts";
import { readInput } from "./files.ts";
import { askSecret, askSecretTwice, canAsk } from "./terminal.ts";
import { warnOfWeakness } from "./warn-of-weakness.ts";

const MAX_IDENTITY_BYTES = 64 * 1024;
const ENTER = "Enter a passphrase for the backup (min 8 characters): ";

/** Runs with whom a backup is for: the recipients of the command line, or a passphrase, which is zeroed afterwards. */
export async function withSealing<T>(
  context: Context,
  args: Arguments,
  use: (sealing: Sealing) => Promise<T>,
): Promise<T> {
  const recipients = args.strings("recipient");
  if (recipients.length > 0) {
    if (isPassphraseGiven(args)) {
      throw usageError("A backup is either for recipients or for a passphrase, as age has it");
    }
    return use({ recipients });
  }
  const given = await newPassphrase(context, args);
  try {
    const passphrase = normalizePassphrase(given);
    try {
      await warnOfWeakness(context, passphrase);
      return await use({ passphrase });
    } finally {
      zero(passphrase);
    }
  } finally {
    zero(given);
  }
}

const newPassphrase = (context: Context, args: Arguments): Promise<Bytes> => {
  if (isPassphraseGiven(args)) return givenPassphrase(context, args, undefined);
  if (canAsk(context)) return askSecretTwice(ENTER, "Confirm passphrase: ");
  throw usageError(
    "A backup needs a passphrase or a recipient, and nobody can be asked",
    "Use --recipient age1…, --backup-passphrase-fd N or --backup-passphrase-file FILE",
  );
};

/** Runs with what opens a backup; a passphrase is zeroed afterwards. */
export async function withOpening<T>(
  context: Context,
  args: Arguments,
  openedBy: OpenedBy,
  use: (opening: Opening) => Promise<T>,
): Promise<T> {
  if (openedBy === "identity") {
    return use({ identities: await readIdentities(args) });
  }
  if (args.string("identity") !== undefined) {
    throw usageError("This backup opens with a passphrase, not with an identity");
  }
  if (!isPassphraseGiven(args) && !canAsk(context)) {
    throw usageError(
      "This backup opens with a passphrase, and nobody can be asked",
      "Use --backup-passphrase-fd N or --backup-passphrase-file FILE",
    );
  }
  const given = await givenPassphrase(context, args, (): Promise<Bytes | undefined> => {
    return askSecret("Enter the passphrase of the backup: ");
  });
  const passphrase = canonicalPassphrase(given);
  zero(given);
  try {
    return await use({ passphrase });
  } finally {
    zero(passphrase);
  }
}

async function readIdentities(args: Arguments): Promise<string[]> {
  const file = args.string("identity");
  if (file === undefined) {
    throw usageError(
      "This backup opens with an identity of age",
      "Name the file of the key: --identity FILE",
    );
  }
  const bytes = await readInput(file, MAX_IDENTITY_BYTES);
  const lines = new TextDecoder().decode(bytes).split("\n");
  zero(bytes);
  const identities = lines
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  if (identities.length === 0) {
    throw usageError(`${file} holds no identity`, "age-keygen makes one");
  }
  return identities;
}

const isPassphraseGiven = (args: Arguments): boolean =>
  ["fd", "file"].some((from) => args.string(`backup-passphrase-${from}`) !== undefined);

/** From the command line or the prompt alone: what opens the vault has nothing to do with it. */
async function givenPassphrase(
  context: Context,
  args: Arguments,
  prompt: UnlockOptions["prompt"],
): Promise<Bytes> {
  const { credential } = await createUnlocker({
    home: context.home,
    env: {},
    passphraseFd: args.number("backup-passphrase-fd", 0),
    passphraseFile: args.string("backup-passphrase-file"),
    optionPrefix: "backup-",
    unlockWith: "passphrase",
    skipAmbient: true,
    prompt: canAsk(context) ? prompt : undefined,
    stdinFree: false,
  }).obtain([{ id: "backup", kind: "passphrase" }]);
  return credential.secret;
}
