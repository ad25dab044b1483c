import { zero } from "@lango/crypto-core";
import { normalizePassphrase } from "@lango/envelope";
import type { Context } from "./context.ts";

/** Warns of a passphrase that is easy to guess. The checker is large, so it is loaded only where one is chosen. */
export async function warnOfWeakness(context: Context, passphrase: Uint8Array): Promise<void> {
  const normalized = normalizePassphrase(passphrase);
  const { weakness } = await import("./strength.ts");
  const why = weakness(normalized);
  zero(normalized);
  if (why !== undefined) {
    context.warn(why);
  }
}

/** What the vault would refuse is refused before a person types it again. @throws CryptoError `ERR_INVALID_ARGUMENT`. */
export const refuseShort = (passphrase: Uint8Array): void => zero(normalizePassphrase(passphrase));
