import { constants } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { CryptoError, type CryptoErrorCode, ERROR_CODES, isCryptoError } from "@lango/crypto-core";
import { type JsonValue, parseJsonStrict } from "@lango/envelope";
import type { NewEntry } from "./audit/log.ts";
import type { VaultContext } from "./context.ts";
import { auditFailure } from "./failures.ts";
import { readSmallFile } from "./files.ts";
import type { HomePaths } from "./keyslots-file.ts";

// While the vault is locked nobody has the audit key. Failed attempts go to a small file, and into the chain at the next
// unlock, marked as what they are: lines that any process of this user could have written.

const MAX_FILE_BYTES = 64 * 1024;
const MAX_LINE_BYTES = 1024;

/** Notes an opening that failed after a credential was tried. Never rejects. A full file takes no more. */
export const noteUnlockFailure = async (
  paths: HomePaths,
  source: string,
  error: unknown,
  ts: number,
): Promise<void> => {
  const code = isCryptoError(error) ? error.code : "ERR_INTERNAL";
  const line = `${JSON.stringify({ code, pid: process.pid, source: printable(source), ts })}\n`;
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;
  try {
    const flags = O_APPEND | O_CREAT | O_WRONLY | (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0);
    const file = await open(paths.unlockFailures, flags, 0o600);
    try {
      const stat = await file.stat();
      // One write of a whole line: with O_APPEND lines of two processes do not mix.
      if (stat.isFile() && stat.size + line.length <= MAX_FILE_BYTES) await file.write(line);
    } finally {
      await file.close();
    }
  } catch {
    // A full disk or a folder without write access does not hide that the passphrase was wrong.
  }
};

/**
 * Moves noted attempts into the chain. A process that dies in the middle leaves the file, so that lines may come twice;
 * one that another process writes in the very moment of the move may be lost, as after 64 KiB of them.
 * Best effort: what cannot be read, moved or recorded now stays for the next opening, and the log says so where it can.
 * Whoever puts a folder in the place of the file must not lock the owner out.
 */
export const foldUnlockFailures = async (
  context: VaultContext,
  paths: HomePaths,
): Promise<void> => {
  try {
    await fold(context, paths);
  } catch (error) {
    // Another lango is at it, or changes the slots.
    if (isCryptoError(error) && error.code === "ERR_CONFLICT") return;
    const detail = isCryptoError(error) ? error.message : undefined;
    await auditFailure(context.log, { action: "vault.fold-unlock-failures", detail }, error);
  }
};

const fold = async ({ store, log }: VaultContext, paths: HomePaths): Promise<void> => {
  if ((await readNoted(paths.unlockFailures)) === undefined) {
    if ((await readNoted(foldingPath(paths))) === undefined) return;
  }
  const underLock = async (): Promise<void> => {
    await foldFile(foldingPath(paths));
    try {
      await rename(paths.unlockFailures, foldingPath(paths));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw error;
    }
    await foldFile(foldingPath(paths));
  };
  await store.withLock(underLock, { waitMs: 0 });

  async function foldFile(path: string): Promise<void> {
    const text = await readNoted(path);
    if (text === undefined) return;
    const entries = text.split("\n").flatMap(entryOf);
    if (entries.length > 0) await store.transaction("full", (tx) => log.appendIn(tx, ...entries));
    await rm(path, { force: true });
  }
};

const foldingPath = (paths: HomePaths): string => `${paths.unlockFailures}.folding`;

const readNoted = async (path: string): Promise<string | undefined> => {
  try {
    const bytes = await readSmallFile(path);
    return bytes && new TextDecoder().decode(bytes.subarray(0, MAX_FILE_BYTES));
  } catch (error) {
    // Open to others, or no file at all: what it says proves nothing.
    if (isCryptoError(error) && error.code === "ERR_CONFIG") {
      await rm(path, { force: true }).catch(() => {
        throw error;
      });
      return undefined;
    }
    throw error;
  }
};

const entryOf = (line: string): NewEntry[] => {
  let value: JsonValue;
  try {
    value = parseJsonStrict(line, { maxBytes: MAX_LINE_BYTES });
  } catch (error) {
    // A line cut short by a full disk, or none of ours.
    if (isCryptoError(error)) return [];
    throw error;
  }
  const { code, pid, source, ts } = (value ?? {}) as Readonly<Record<string, JsonValue>>;
  if (typeof code !== "string" || !Object.hasOwn(ERROR_CODES, code)) return [];
  if (!isTime(ts) || typeof pid !== "number" || typeof source !== "string") return [];
  return [
    {
      action: "vault.unlock",
      outcome: "failure",
      code: code as CryptoErrorCode,
      detail: `${new Date(ts).toISOString()} pid ${pid} ${printable(source)}`,
      authenticated: false,
    },
  ];
};

/** What `Date` can show. */
const isTime = (ts: JsonValue | undefined): ts is number =>
  typeof ts === "number" && Math.abs(ts) <= 8.64e15;

const printable = (text: string): string => text.replaceAll(/[^ -~]/g, "?").slice(0, 128);

/** The error of an attempt that opened nothing. */
export const wrongCredential = (source: string, cause: unknown): CryptoError =>
  new CryptoError(
    "ERR_WRONG_PASSPHRASE",
    `${isCryptoError(cause) ? cause.message : "Nothing opens the vault"} (from ${source})`,
    { cause },
  );
