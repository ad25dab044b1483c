import { randomBytesFresh, toBase64, utf8, zero } from "@lango/crypto-core";
import type { SlotSummary, Vault } from "@lango/vault";
import type { Context } from "./context.ts";
import { keyringOf } from "./keyring.ts";

/**
 * Lets the keyring open the vault with a random key and a slot of its own: the passphrase stays out of the keyring, and either can
 * go without the other. The keyring has one such key, so that an older slot goes.
 */
export async function addKeyringSlot(
  context: Context,
  vault: Vault,
  label?: string,
): Promise<{
  readonly slot: SlotSummary;
  readonly replaced: readonly string[];
  /** The name of the keyring. */
  readonly keyring: string;
}> {
  const keyring = keyringOf(context, vault.id);
  const before = (await vault.slots.list()).filter(({ kind }) => kind === "keyring");
  const old = await keyring.get("master-key");
  const key = randomBytesFresh(32);
  const text = utf8(toBase64(key));
  let slot: SlotSummary;
  try {
    await keyring.set("master-key", text);
    try {
      slot = await vault.slots.add({ kind: "keyring", key, label: label ?? keyring.name });
    } catch (error) {
      // As it was: an older slot may be opened by the older key.
      if (old === undefined) await keyring.delete("master-key");
      else await keyring.set("master-key", old);
      throw error;
    }
  } finally {
    zero(key, text, old);
  }
  // Their key is gone.
  for (const { id } of before) await vault.slots.remove(id);
  return { slot, replaced: before.map(({ id }) => id), keyring: keyring.name };
}
