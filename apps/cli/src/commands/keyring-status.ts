import { isCryptoError, zero } from "@lango/crypto-core";
import type { KeyringEntry, WritableKeyring } from "@lango/unlock";
import type { Handler } from "../cli/command.ts";
import { keyringOf } from "../cli/keyring.ts";
import { facts } from "../cli/output.ts";
import { withReader } from "../cli/reader.ts";
import { loadConfig } from "../config/load.ts";

/** Shows what of this vault is in the keyring of the system. */
export const run: Handler = (context) =>
  withReader(context, async (vault) => {
    const { security } = await loadConfig(context.home);
    const keyring = keyringOf(context, vault.id);
    const slots = (await vault.slots.list()).filter(({ kind }) => kind === "keyring");
    const key = await stateOf(keyring, "master-key");
    const passphrase = await stateOf(keyring, "passphrase");
    const { enabled } = security.keyring;
    // What keeps it from being asked is the same for both: said once.
    const isSame = key.startsWith(UNKNOWN) && passphrase === key;
    return {
      data: { keyring: keyring.name, key, passphrase, slots: slots.map(({ id }) => id), enabled },
      text: facts([
        ["keyring", keyring.name],
        ["key", key],
        ["slots for that key", slots.length === 0 ? "none" : slots.map(({ id }) => id).join(", ")],
        ["passphrase", isSame ? "unknown, for the same reason" : passphrase],
        ["asked for the passphrase", enabled ? "yes" : "no (security.keyring.enabled is false)"],
      ]),
    };
  });

const UNKNOWN = "unknown";

/** `present`, `absent`, or why nobody knows. */
async function stateOf(keyring: WritableKeyring, entry: KeyringEntry): Promise<string> {
  try {
    const secret = await keyring.get(entry);
    zero(secret);
    return secret === undefined ? "absent" : "present";
  } catch (error) {
    if (isCryptoError(error)) return `${UNKNOWN}: ${error.message}`;
    throw error;
  }
}
