import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { CryptoError, randomBytesFresh, toHex } from "@lango/crypto-core";

/**
 * Puts a text into a file of mode 0600, whole or not at all, and makes its folder for the owner alone if need be.
 *
 * @throws CryptoError `ERR_CONFIG` when the file cannot be written.
 */
export function replaceFile(file: string, text: string): void {
  const path = resolveLink(file);
  const temporary = `${path}.${toHex(randomBytesFresh(6))}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeAndSync(temporary, text);
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (cause) {
    rmSync(temporary, { force: true });
    const code = (cause as NodeJS.ErrnoException).code;
    throw new CryptoError("ERR_CONFIG", `${path} cannot be written (${code})`, { cause });
  }
}

/** Where a link leads, so that a configuration kept elsewhere stays there. */
function resolveLink(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function writeAndSync(path: string, text: string): void {
  const fd = openSync(path, "wx", 0o600);
  try {
    writeFileSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes a rename last through a power cut. Windows cannot open a folder; its rename is journaled. */
function syncFolder(folder: string): void {
  if (process.platform === "win32") return;
  const fd = openSync(folder, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
