import { bytesEqual, zero } from "@lango/crypto-core";
import { normalizePassphrase } from "@lango/envelope";
import { createOsKeyring, type KeyringBackend, type WritableKeyring } from "@lango/unlock";
import { readVault } from "@lango/vault";
import { loadConfig } from "../config/load.ts";
import type { Context } from "./context.ts";
import { vaultPlace } from "./place.ts";
import { importProvider, installCommand } from "./provider-packages.ts";

/** The keyring of the system, with the entries of one vault. */
export const keyringOf = ({ home }: Context, vaultId: string): WritableKeyring =>
  createOsKeyring({
    vaultId,
    import: (name) => importProvider(name, home),
    installHint: (name) => `Install it with: ${installCommand(name, home)}`,
  });

/** The same for the unlocker, which is made before anybody has looked which vault it is. */
export function lazyKeyring(context: Context): KeyringBackend {
  return {
    name: "keyring of the system",
    async get(entry) {
      await using vault = await readVault(await vaultPlace(context));
      return keyringOf(context, vault.id).get(entry);
    },
  };
}

/**
 * Writes the new passphrase into the keyring if that is asked for it and holds the old one.
 *
 * @returns Whether it was changed.
 */
export async function replaceInKeyring(
  context: Context,
  vaultId: string,
  oldPassphrase: Uint8Array,
  newPassphrase: Uint8Array,
): Promise<boolean> {
  const { security } = await loadConfig(context.home);
  if (!security.keyring.enabled) return false;
  const keyring = keyringOf(context, vaultId);
  const old = normalizePassphrase(oldPassphrase);
  const next = normalizePassphrase(newPassphrase);
  let found: Uint8Array | undefined;
  try {
    found = await keyring.get("passphrase");
    if (found === undefined || !bytesEqual(found, old)) return false;
    await keyring.set("passphrase", next);
    return true;
  } catch (error) {
    context.warn(`The keyring may still hold the old passphrase: ${(error as Error).message}`);
    return false;
  } finally {
    zero(old, next, found);
  }
}
