import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { CryptoError, type CryptoErrorCode } from "@lango/crypto-core";

const REASONS: Readonly<Record<string, readonly [code: CryptoErrorCode, reason: string]>> = {
  ENOTDIR: ["ERR_CONFIG", "a part of its path is no folder"],
  EEXIST: ["ERR_CONFIG", "it is there and is no folder"],
  ENOSPC: ["ERR_BUSY", "the disk is full"],
  EDQUOT: ["ERR_BUSY", "the quota of the disk is used up"],
  EROFS: ["ERR_ACCESS_DENIED", "the file system is read-only"],
  EACCES: ["ERR_ACCESS_DENIED", "permission denied"],
  EPERM: ["ERR_ACCESS_DENIED", "permission denied"],
};

/**
 * Makes a folder, and those above it that are missing, for their owner alone (mode 0700). One that is there stays as it is.
 *
 * One level at a time: Node's recursive mkdir never ends where a folder cannot be made although its parent is there, as
 * in /proc.
 *
 * @param path - Absolute.
 * @throws {@link CryptoError} `ERR_CONFIG`, `ERR_ACCESS_DENIED` or `ERR_BUSY` (the disk is full).
 */
export const makeFolder = (path: string): void => {
  try {
    const missing: string[] = [];
    for (let at = path; !isThere(at); at = dirname(at)) missing.unshift(at);
    for (const each of missing) makeOne(each);
    if (!statSync(path).isDirectory()) throw Object.assign(new Error(), { code: "EEXIST" });
  } catch (cause) {
    const native = (cause as NodeJS.ErrnoException).code ?? "unknown";
    const [code, reason] = REASONS[native] ?? [
      "ERR_ACCESS_DENIED",
      `the system refuses (${native})`,
    ];
    const retryable = code === "ERR_BUSY" ? { retryable: false } : {};
    throw new CryptoError(code, `Cannot make ${path}: ${reason}`, { cause, ...retryable });
  }
};

const isThere = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;

const makeOne = (path: string): void => {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another process may have been faster.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
};
