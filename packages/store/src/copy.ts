import { rmSync } from "node:fs";
import { CryptoError } from "@lango/crypto-core";
import type { Connection } from "./connection.ts";
import { createPrivate, syncToDisk } from "./files.ts";

/**
 * Copies a database, as it is at one moment, into a file that is not there yet, and waits until that is on the disk. An
 * encrypted database stays encrypted, under the same key. A failure leaves no file.
 */
export function copyDatabase(connection: Connection, to: string): void {
  // VACUUM INTO takes an empty file as it is; one that it made itself would be readable by others.
  if (!createPrivate(to)) throw new CryptoError("ERR_CONFLICT", `${to} is there already`);
  try {
    connection.database.prepare("vacuum into ?").run(to);
    syncToDisk(to);
  } catch (error) {
    rmSync(to, { force: true });
    throw error;
  }
}
