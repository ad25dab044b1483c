import { join } from "node:path";
import { isCryptoError, randomBytesFresh, toHex, utf8, zero } from "@lango/crypto-core";
import type { SlotSummary, Vault } from "@lango/vault";
import type { Context } from "./context.ts";
import { writeFileWhole } from "./files.ts";
import { addKeyringSlot } from "./keyring-slot.ts";
import { writeAll } from "./output.ts";

/**
 * Puts new random keys in the places of this machine that hold one: whoever copied the old one opens nothing new with it. Whenever
 * the process dies, the key that is in the place opens a slot.
 *
 * @param slots - Those of the vault.
 * @returns The places.
 */
export async function renewKeys(
  context: Context,
  vault: Vault,
  slots: readonly SlotSummary[],
): Promise<string[]> {
  const places: string[] = [];
  const file = slots.find(({ kind }) => kind === "master-key-file");
  if (file) places.push(await renewKeyFile(context, vault, file));
  const inKeyring = slots.find(({ kind }) => kind === "keyring");
  if (inKeyring) {
    const { keyring } = await addKeyringSlot(context, vault, inKeyring.label);
    places.push(`the keyring (${keyring})`);
  }
  return places;
}

async function renewKeyFile(context: Context, vault: Vault, old: SlotSummary): Promise<string> {
  const path = join(context.home, "master.key");
  const key = randomBytesFresh(32);
  const text = utf8(`${toHex(key)}\n`);
  try {
    // Both open the vault while one takes the place of the other.
    await vault.slots.add({ kind: "master-key-file", key, label: old.label });
    await writeFileWhole(path, async (fd) => writeAll(fd, text));
  } finally {
    zero(key, text);
  }
  try {
    await vault.slots.remove(old.id);
  } catch (error) {
    if (!isCryptoError(error) || error.code !== "ERR_CONFLICT") throw error;
    context.warn(
      `Slot ${old.id} of the old key stays, since that opened the vault: lango security slots remove ${old.id}`,
    );
  }
  return path;
}
