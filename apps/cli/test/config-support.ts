import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isCryptoError } from "@lango/crypto-core";
import { onTestFinished } from "vitest";

/** A home with this `config.json`, gone after the test; `undefined` leaves the file out. */
export function homeWith(config?: unknown, mode = 0o600): string {
  const home = mkdtempSync(join(tmpdir(), "lango-config-"));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  if (config !== undefined) {
    const path = join(home, "config.json");
    writeFileSync(path, typeof config === "string" ? config : JSON.stringify(config));
    chmodSync(path, mode);
  }
  return home;
}

/** The code, message and hint of what a promise rejects with. */
export async function failureOf(
  promise: Promise<unknown>,
): Promise<{ code: string; message: string; hint: string }> {
  try {
    await promise;
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    return { code: error.code, message: error.message, hint: error.context.hint ?? "" };
  }
  throw new Error("it did not fail");
}
