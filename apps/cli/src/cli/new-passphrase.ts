import { type Bytes, zero } from "@lango/crypto-core";
import { createUnlocker } from "@lango/unlock";
import type { Arguments } from "./arguments.ts";
import type { Context } from "./context.ts";
import { askSecret, canAsk } from "./terminal.ts";
import { refuseShort, warnOfWeakness } from "./warn-of-weakness.ts";

/**
 * A passphrase for a new slot of a vault that is there: from `--new-passphrase-fd` or `-file`, or asked twice. The keyring, the
 * keyfile and the environment hold the old one.
 *
 * @returns The caller zeroes it.
 */
export async function obtainNewPassphrase(context: Context, args: Arguments): Promise<Bytes> {
  const { passphrase } = await createUnlocker({
    home: context.home,
    env: context.env,
    passphraseFd: args.number("new-passphrase-fd", 0),
    passphraseFile: args.string("new-passphrase-file"),
    optionPrefix: "new-",
    unlockWith: "passphrase",
    skipAmbient: true,
    prompt: canAsk(context) ? askSecret : undefined,
    stdinFree: false,
  }).obtainNewPassphrase({ replacing: true, check: refuseShort });
  try {
    await warnOfWeakness(context, passphrase);
    return passphrase;
  } catch (error) {
    zero(passphrase);
    throw error;
  }
}
