import { readFileSync } from "node:fs";
import { join } from "node:path";
import { replaceFile } from "@lango/envelope";
import { makeFolder, type Vault } from "@lango/vault";
import { type KeySettings, targetOf } from "./provider-settings.ts";

const ACTION = "provider.configure";

/**
 * Notes in the log when the settings reach keys in another way than at the last opening: another provider, module, address
 * or region. Where the last such row is stands in a file of the home; the row itself is authenticated, so a file that is
 * gone, old or forged only makes one row more.
 */
export async function auditProviderChange(vault: Vault, settings: KeySettings): Promise<void> {
  const name = settings.signer.provider;
  const target = targetOf(name, settings).slice(0, 1024).toWellFormed();
  const file = join(vault.home, "run", "provider-configured.json");
  const seq = readSeq(file);
  if (seq === undefined && name === "local") return;
  const last = seq === undefined ? undefined : await vault.audit.read(seq);
  if (last?.action === ACTION && last.detail === target) return;
  const row = await vault.audit.append({ action: ACTION, target: name, detail: target });
  try {
    makeFolder(join(vault.home, "run"));
    await replaceFile(file, async (handle) => {
      await handle.writeFile(`${JSON.stringify({ schemaVersion: 1, seq: row.seq })}\n`);
    });
  } catch {
    // A home that takes no new file: the next opening writes a row again.
  }
}

function readSeq(file: string): number | undefined {
  try {
    const { seq } = JSON.parse(readFileSync(file, "utf8"));
    return Number.isSafeInteger(seq) && seq > 0 ? seq : undefined;
  } catch {
    return undefined;
  }
}
