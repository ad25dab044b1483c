import type { Peer, Peers } from "@lango/companion";
import { CryptoError } from "@lango/crypto-core";
import { type CompanionInfo, type LockedVault, readVault, type Vault } from "@lango/vault";
import { shortFingerprint } from "./companion-device.ts";
import type { Context } from "./context.ts";
import { vaultPlace } from "./place.ts";

/** Pins, for whoever also has to know which device answers. */
export interface WatchedPeers extends Peers {
  /** Is told of each device to which there is a connection now. */
  connected?(peer: Peer): void;
}

/** Pins of a vault that is opened later than they are handed on. */
export interface LatePeers extends WatchedPeers {
  /** The device of the newest connection: the pin for a slot of its key. */
  readonly newest: Pick<Peer, "id" | "fingerprint"> | undefined;
  /**
   * From now on each pin is checked against its MAC when it is read.
   *
   * @throws CryptoError `ERR_INTEGRITY` for a device that was spoken to before, and is not one that the vault knows;
   *   `ERR_ACCESS_DENIED` for one that is suspended and may have opened the vault.
   */
  readFrom(vault: Vault): Promise<void>;
}

/**
 * A companion may have to open the vault in which its pin is. Until then the pins count as they stand in the database, or in
 * the slots where that is encrypted: such a device is only given what its own key wrapped, and a wrong answer opens nothing. Whom it was is
 * checked once the vault is open: whoever opens one with these providers calls `readFrom` before anything else.
 */
export function latePeers(context: Pick<Context, "home" | "env">): LatePeers {
  const before = unverifiedPeers(context);
  const seen = new Set<string>();
  let vault: Vault | undefined;
  let newest: LatePeers["newest"];
  return {
    get newest() {
      return newest;
    },
    connected({ id, fingerprint }) {
      newest = { id, fingerprint };
    },
    async find(fingerprint) {
      if (vault !== undefined) return vault.companions.find(fingerprint);
      const peer = await before.find(fingerprint);
      if (peer !== undefined) seen.add(fingerprint);
      return peer;
    },
    replacePin: async (id, fingerprint) =>
      (vault?.companions ?? before).replacePin(id, fingerprint),
    async readFrom(opened) {
      const byProvider = opened.unlockedBy.kind === "provider";
      for (const fingerprint of seen) {
        checkKnown(await opened.companions.find(fingerprint), byProvider);
      }
      vault = opened;
    },
  };
}

function checkKnown(device: CompanionInfo | undefined, byProvider: boolean): void {
  if (device === undefined) {
    throw new CryptoError("ERR_INTEGRITY", "A device opened the vault that it does not know", {
      context: {
        hint: "Open it with --unlock-with passphrase. Was a revocation interrupted? Then remove the slot: lango security slots remove ID. Else somebody changed lango.db: lango audit verify --rows",
      },
    });
  }
  // One that was only asked is given nothing from now on.
  if (device.state === "active" || !byProvider) return;
  throw new CryptoError(
    "ERR_ACCESS_DENIED",
    `${device.name}, which opened the vault, is suspended since the database was restored`,
    {
      context: {
        hint: `If it is still good: lango companion confirm ${device.id} --unlock-with passphrase`,
      },
    },
  );
}

/**
 * Pins as they stand in the database, or in the slots of an encrypted one. Their MACs need the key of the vault: good for asking a companion
 * how it is, which tells it nothing, and for what {@link latePeers} is for.
 */
export const unverifiedPeers = (context: Pick<Context, "home" | "env">): Peers => ({
  async find(fingerprint) {
    await using vault = await readVault(await vaultPlace(context));
    const { encrypted } = (await vault.status()).database;
    const devices = encrypted ? await devicesOfSlots(vault) : await vault.companions.list();
    return devices.find((peer) => peer.fingerprint === fingerprint);
  },
  async replacePin() {
    throw new CryptoError("ERR_LOCKED", "A pin is replaced in an open vault only");
  },
});

/** What the database says of them besides is not needed to reach them. */
const devicesOfSlots = async ({ slots }: Pick<LockedVault, "slots">): Promise<Peer[]> =>
  (await slots.list()).flatMap(({ companion, createdAt }) =>
    companion === undefined
      ? []
      : [
          {
            ...companion,
            name: shortFingerprint(companion.fingerprint),
            role: "companion",
            state: "active",
            pairedAt: Date.parse(createdAt),
          },
        ],
  );
