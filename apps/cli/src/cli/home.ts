import { type Bytes, CryptoError } from "@lango/crypto-core";
import { inspectHome } from "@lango/vault";
import type { Context } from "./context.ts";
import { onboard } from "./onboarding.ts";
import { mayHoldVault, vaultPlace } from "./place.ts";
import { askYes, canAsk } from "./terminal.ts";

/**
 * Makes sure that there is a vault; a person at a terminal is offered to make one now.
 *
 * @param keep - Is given the passphrase of a vault that was made now, to zero when done.
 * @throws CryptoError `ERR_LOCKED` when there is none; what is wrong with a damaged one.
 */
export async function requireVault(
  context: Context,
  keep?: (passphrase: Bytes) => void,
): Promise<void> {
  const place = await vaultPlace(context);
  if (await mayHoldVault(place)) {
    return;
  }
  const state = await inspectHome(place.home, place.store);
  if (typeof state === "object") {
    throw state.damaged;
  }
  // Not with --yes: a command that stores a secret must not make a vault in a mistyped folder by itself.
  if (
    canAsk(context) &&
    (await askYes({ ...context, yes: false }, `There is no vault in ${context.home}. Create it?`))
  ) {
    const { text, advise } = await onboard(context, { keep });
    context.note(text);
    advise();
    return;
  }
  const [where, other] = place.store
    ? ["the database", "another database with DATABASE_URL or the setting store"]
    : [context.home, "its folder with --home or LANGO_HOME"];
  throw new CryptoError("ERR_LOCKED", `There is no vault in ${where}`, {
    context: { hint: `Create it with "lango onboard", or name ${other}` },
  });
}
