import type { Peers } from "@lango/companion";
import { CryptoError } from "@lango/crypto-core";
import { readVault, type Vault } from "@lango/vault";
import type { Context } from "./context.ts";
import { vaultPlace } from "./place.ts";

/** Pins of a vault that is opened later than they are handed on: each is checked against its MAC when it is read. */
export interface LatePeers extends Peers {
  readFrom(vault: Vault): void;
}

export function latePeers(): LatePeers {
  let vault: Vault | undefined;
  const companions = (): Vault["companions"] => {
    if (vault !== undefined) return vault.companions;
    throw new CryptoError(
      "ERR_LOCKED",
      "The pins of companions are in the vault, which is not open",
      {
        context: {
          hint: "A companion's key can keep data of the vault, but not open the vault itself",
        },
      },
    );
  };
  return {
    find: async (fingerprint) => companions().find(fingerprint),
    replacePin: async (id, fingerprint) => companions().replacePin(id, fingerprint),
    readFrom(opened) {
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
