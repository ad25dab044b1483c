import type { Peers } from "@lango/companion";
import { CryptoError } from "@lango/crypto-core";
import { readVault, type Vault } from "@lango/vault";
import type { Context } from "./context.ts";
import { vaultPlace } from "./place.ts";

/** Pins of a vault that is opened later than they are handed on. */
export interface LatePeers extends Peers {
  /**
   * From now on each pin is checked against its MAC when it is read.
   *
   * @throws CryptoError `ERR_INTEGRITY` for a device that was spoken to before, and is not one that the vault knows.
   */
  readFrom(vault: Vault): Promise<void>;
}

/**
 * A companion may have to open the vault in which its pin is. Until then the pins count as they stand in the database: such a
 * device is only given what its own key wrapped, and a wrong answer opens nothing. Whom it was is checked once the vault is open:
 * whoever opens one with these providers calls `readFrom` before anything else.
 */
export function latePeers(context: Pick<Context, "home" | "env">): LatePeers {
  const before = unverifiedPeers(context);
  const seen = new Set<string>();
  let vault: Vault | undefined;
  return {
    async find(fingerprint) {
      if (vault !== undefined) return vault.companions.find(fingerprint);
      const peer = await before.find(fingerprint);
      if (peer !== undefined) seen.add(fingerprint);
      return peer;
    },
    replacePin: async (id, fingerprint) =>
      (vault?.companions ?? before).replacePin(id, fingerprint),
    async readFrom(opened) {
      for (const fingerprint of seen) {
        if ((await opened.companions.find(fingerprint))?.state === "active") continue;
        throw new CryptoError("ERR_INTEGRITY", "A device opened the vault that it does not know", {
          context: { hint: "Somebody changed lango.db: compare it, lango audit verify --rows" },
        });
      }
      vault = opened;
    },
  };
}

/**
 * Pins as they stand in the database, whose MACs need the key of the vault: good for asking a companion how it is, which
 * tells it nothing, and for nothing else.
 */
export const unverifiedPeers = (context: Pick<Context, "home" | "env">): Peers => ({
  async find(fingerprint) {
    await using vault = await readVault(await vaultPlace(context));
    return (await vault.companions.list()).find((peer) => peer.fingerprint === fingerprint);
  },
  async replacePin() {
    throw new CryptoError("ERR_LOCKED", "A pin is replaced in an open vault only");
  },
});
