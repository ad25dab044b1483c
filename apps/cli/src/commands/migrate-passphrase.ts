import { type Bytes, zero } from "@lango/crypto-core";
import { createUnlocker } from "@lango/unlock";
import { openVault } from "@lango/vault";
import { type Arguments, usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { requireVault } from "../cli/home.ts";
import { chooseKdf, configuredKdf } from "../cli/kdf.ts";
import { replaceKeyfile } from "../cli/keyfile.ts";
import { replaceInKeyring } from "../cli/keyring.ts";
import { obtainNewPassphrase } from "../cli/new-passphrase.ts";
import { vaultPlace } from "../cli/place.ts";
import { hardenProcess } from "../cli/process.ts";
import { askSecret, canAsk } from "../cli/terminal.ts";

const ASK_OLD = "Enter current encryption passphrase: ";

/** Puts a new passphrase in the place of the old one; the data stay as they are. */
export const run: Handler = async (context, args) => {
  const { kdf: given, acceptWeakKdf } = chooseKdf(args);
  await requireVault(context);
  checkNewPassphrase(context, args);
  const kdf = given ?? (await configuredKdf(context.home));
  hardenProcess();
  let oldPassphrase: Bytes | undefined;
  let newPassphrase: Bytes | undefined;
  try {
    // The vault zeroes what it is given, and the old passphrase is needed twice.
    await using vault = await openVault({
      ...(await vaultPlace(context)),
      unlock: async (slots) => {
        const result = await oldUnlocker(context, args).obtain(slots);
        oldPassphrase = result.credential.secret.slice();
        return result;
      },
    });
    if (args.flag("dry-run")) {
      return {
        data: { dryRun: true, slots: await vault.slots.list() },
        text: "the old passphrase opens the vault; would replace its slot",
      };
    }
    newPassphrase = await obtainNewPassphrase(context, args);
    const slot = await vault.slots.changePassphrase({
      oldPassphrase: oldPassphrase!,
      newPassphrase,
      kdf,
      acceptWeakKdf,
    });
    const keyfile = await replaceKeyfile(context, oldPassphrase!, newPassphrase);
    const keyring = await replaceInKeyring(context, vault.id, oldPassphrase!, newPassphrase);
    const places = [keyfile, keyring ? "the keyring" : undefined].filter(Boolean);
    context.note(
      "Whoever kept a copy of the old keyslots.json can still open it with the old passphrase",
    );
    return {
      data: { slot, keyfile: keyfile ?? null, keyring },
      text: `The passphrase was changed${places.length === 0 ? "" : `, in ${places.join(" and ")} too`}`,
    };
  } finally {
    zero(oldPassphrase, newPassphrase);
  }
};

/** Without a person to ask there is no other place for it: said before the old one is asked for and derived. */
function checkNewPassphrase(context: Context, args: Arguments): void {
  const isGiven = ["fd", "file"].some(
    (from) => args.string(`new-passphrase-${from}`) !== undefined,
  );
  if (!isGiven && !args.flag("dry-run") && !canAsk(context)) {
    throw usageError(
      "The new passphrase is missing, and nobody can be asked",
      "Give it with --new-passphrase-fd N or --new-passphrase-file FILE",
    );
  }
}

/** Only what was given for this command counts: the keyring and the keyfile would answer for nobody. */
const oldUnlocker = (context: Context, args: Arguments) =>
  createUnlocker({
    home: context.home,
    env: context.env,
    passphraseFd: args.number("old-passphrase-fd", 0),
    passphraseFile: args.string("old-passphrase-file"),
    optionPrefix: "old-",
    unlockWith: "passphrase",
    skipAmbient: true,
    prompt: canAsk(context) ? () => askSecret(ASK_OLD) : undefined,
    stdinFree: false,
  });
