import { utf8 } from "@lango/crypto-core";
import type { Kdf } from "@lango/envelope";
import type { SlotInfo, UnlockResult } from "@lango/unlock";
import { createVault, openVault, type Vault } from "@lango/vault";

export const PASSPHRASE = "correct horse battery";

/** Weak on purpose: the tests open vaults hundreds of times. */
export const quickKdf = (): Kdf => ({
  name: "pbkdf2-sha256",
  iterations: 1000,
  salt: crypto.getRandomValues(new Uint8Array(16)),
});

export const unlockWith =
  (passphrase: string = PASSPHRASE) =>
  async (slots: readonly SlotInfo[]): Promise<UnlockResult> => ({
    credential: {
      kind: "passphrase",
      source: "test",
      secret: utf8(passphrase),
      ambient: false,
      slotIds: slots.map(({ id }) => id),
    },
    skipped: [],
  });

/** @param url - Of the server that has its rows; none: they are a file. */
export const create = (home: string, url?: string): Promise<Vault> =>
  createVault({
    home,
    store: url === undefined ? undefined : { url },
    credentials: [{ kind: "passphrase", passphrase: utf8(PASSPHRASE) }],
    kdf: quickKdf(),
    acceptWeakKdf: true,
  });

export const open = (home: string, passphrase?: string, url?: string): Promise<Vault> =>
  openVault({
    home,
    store: url === undefined ? undefined : { url },
    unlock: unlockWith(passphrase),
  });
