import { type Bytes, zero } from "@lango/crypto-core";
import { normalizePassphrase } from "@lango/envelope";
import type { Vault } from "@lango/vault";
import type { Handler } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { keyringOf } from "../cli/keyring.ts";
import { addKeyringSlot } from "../cli/keyring-slot.ts";
import { askYes } from "../cli/terminal.ts";
import { withVault } from "../cli/vault.ts";
import { loadConfig } from "../config/load.ts";

const SETTING = "security.keyring.enabled";

/** Lets the keyring of the system open the vault. */
export const run: Handler = async (context, args) => {
  let passphrase: Bytes | undefined;
  const keep = (secret: Bytes): void => {
    passphrase = secret;
  };
  try {
    return await withVault(
      context,
      args,
      // Whoever can only read what is lying about shall not open another door.
      { freshConsent: true, ...(args.flag("passphrase") ? { keepPassphrase: keep } : {}) },
      async (vault) => {
        if (args.flag("dry-run")) {
          return {
            data: { dryRun: true },
            text: args.flag("passphrase")
              ? "would store the passphrase in the keyring"
              : "would add a keyring slot, with a random key in the keyring",
          };
        }
        return passphrase === undefined
          ? storeKey(context, vault)
          : storePassphrase(context, vault, passphrase);
      },
    );
  } finally {
    zero(passphrase);
  }
};

async function storeKey(context: Context, vault: Vault) {
  const { slot, replaced, keyring } = await addKeyringSlot(context, vault);
  return {
    data: { slot, replaced },
    text: `The keyring (${keyring}) now opens the vault, with slot ${slot.id}`,
  };
}

async function storePassphrase(context: Context, vault: Vault, passphrase: Uint8Array) {
  const keyring = keyringOf(context, vault.id);
  const text = normalizePassphrase(passphrase);
  try {
    await keyring.set("passphrase", text);
  } finally {
    zero(text);
  }
  await vault.audit.append({ action: "keyring.store", target: "passphrase" });
  const { security } = await loadConfig(context.home);
  const enabled =
    security.keyring.enabled ||
    (await askYes(context, `Set ${SETTING}, so that the keyring is asked for the passphrase?`));
  if (enabled && !security.keyring.enabled) {
    const { setSetting } = await import("../config/set.ts");
    await setSetting(context.home, SETTING, "true");
  }
  if (!enabled) context.note(`It is not asked before: lango settings set ${SETTING} true`);
  return {
    data: { passphrase: true, enabled },
    text: `The passphrase is in the keyring (${keyring.name})`,
  };
}
