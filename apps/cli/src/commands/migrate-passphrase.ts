import { type Bytes, zero } from "@lango/crypto-core";
import { createUnlocker } from "@lango/unlock";
import { openVault } from "@lango/vault";
import { type Arguments, usageError } from "../cli/arguments.ts";
import type { Handler } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { requireVault } from "../cli/home.ts";
import { chooseKdf, configuredKdf } from "../cli/kdf.ts";
import { keepSecret } from "../cli/keep-secret.ts";
import { replaceKeyfile } from "../cli/keyfile.ts";
import { replaceInKeyring } from "../cli/keyring.ts";
import { obtainNewPassphrase } from "../cli/new-passphrase.ts";
import { vaultPlace } from "../cli/place.ts";
import { hardenProcess } from "../cli/process.ts";
import { openProviders } from "../cli/providers.ts";
import { NOT_REVOKED, rotatedText, runRotation, unfinished } from "../cli/rotation.ts";
import { askSecret, canAsk } from "../cli/terminal.ts";
import { loadConfig } from "../config/load.ts";

const ASK_OLD = "Enter current encryption passphrase: ";

/** Puts a new passphrase in the place of the old one; the data stay as they are. */
export const run: Handler = async (context, args) => {
  const { kdf: given, acceptWeakKdf } = chooseKdf(args);
  await requireVault(context);
  checkNewPassphrase(context, args);
  const rotate = args.flag("rotate-data-keys");
  const kdf = given ?? (await configuredKdf(context.home));
  hardenProcess();
  let oldPassphrase: Bytes | undefined;
  let newPassphrase: Bytes | undefined;
  try {
    // Who may wrap the new data keys, and unwrap the old ones.
    await using providers = rotate
      ? await openProviders(context, (await loadConfig(context.home)).security)
      : undefined;
    // The vault zeroes what it is given, and the old passphrase is needed twice.
    await using vault = await openVault({
      ...(await vaultPlace(context)),
      providers: providers?.byScheme,
      unlock: async (slots) =>
        keepSecret(await oldUnlocker(context, args).obtain(slots), (secret) => {
          oldPassphrase = secret;
        }),
    });
    await providers?.peers.readFrom(vault);
    if (args.flag("dry-run")) {
      return {
        data: { dryRun: true, slots: await vault.slots.list() },
        text: "the old passphrase opens the vault; would replace its slot",
      };
    }
    // Before the passphrase is changed: what cannot be done then would leave half of what was asked for.
    if (rotate && (await vault.rotation.status())) throw unfinished();
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
    const changed = `The passphrase was changed${places.length === 0 ? "" : `, in ${places.join(" and ")} too`}`;
    const data = { slot, keyfile: keyfile ?? null, keyring };
    if (!rotate) return { data, text: changed };
    context.note(changed);
    const rotation = await runRotation(context, args, vault, "start");
    for (const sentence of NOT_REVOKED) context.note(sentence);
    return { data: { ...data, rotation }, text: `${changed}; ${rotatedText(rotation)}` };
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
    prompt: canAsk(context) ? (label, isAgain) => askSecret(isAgain ? label : ASK_OLD) : undefined,
    stdinFree: false,
  });
