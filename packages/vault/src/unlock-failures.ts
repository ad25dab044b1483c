import { rename, rm } from "node:fs/promises";
import { CryptoError, type CryptoErrorCode, ERROR_CODES, isCryptoError } from "@lango/crypto-core";
import { type JsonValue, parseJsonStrict } from "@lango/envelope";
import { type AgentEnd, appendNote, MAX_NOTES_BYTES } from "@lango/unlock";
import type { NewEntry } from "./audit/log.ts";
import type { VaultContext } from "./context.ts";
import { auditFailure } from "./failures.ts";
import { readSmallFile } from "./files.ts";
import type { HomePaths } from "./keyslots-file.ts";

// While the vault is locked nobody has the audit key. Failed attempts, and ends of unlock agents, go to a small file, and into
// the chain at the next unlock, marked as what they are: lines that any process of this user could have written.

const MAX_LINE_BYTES = 1024;

/** Notes an opening that failed after a credential was tried. Never rejects. A full file takes no more. */
export const noteUnlockFailure = async (
  paths: HomePaths,
  source: string,
  error: unknown,
  ts: number,
): Promise<void> => {
  const code = isCryptoError(error) ? error.code : "ERR_INTERNAL";
  await appendNote(paths.unlockFailures, { code, pid: process.pid, source: printable(source), ts });
};

/**
 * Moves what was noted into the chain. A process that dies in the middle leaves the file, so that lines may come twice;
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
    return bytes && new TextDecoder().decode(bytes.subarray(0, MAX_NOTES_BYTES));
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
  const { agent, code, pid, source, ts } = (value ?? {}) as Readonly<Record<string, JsonValue>>;
  if (!isTime(ts) || typeof pid !== "number") return [];
  const when = `${new Date(ts).toISOString()} pid ${pid}`;
  if (isAgentEnd(agent)) {
    return [{ action: "agent.end", detail: `${when} ${ENDS[agent]}`, authenticated: false }];
  }
  if (typeof code !== "string" || !Object.hasOwn(ERROR_CODES, code)) return [];
  if (typeof source !== "string") return [];
  return [
    {
      action: "vault.unlock",
      outcome: "failure",
      code: code as CryptoErrorCode,
      detail: `${when} ${printable(source)}`,
      authenticated: false,
    },
  ];
};

/** Why an agent ended, for who reads the log. */
const ENDS: Readonly<Record<AgentEnd, string>> = {
  locked: "locked",
  idle: "not used for its time",
  expired: "its time was over",
  gone: "its socket or home was gone",
  stopped: "ended by a signal",
};
const isAgentEnd = (value: JsonValue | undefined): value is AgentEnd =>
  typeof value === "string" && Object.hasOwn(ENDS, value);

/** What `Date` can show. */
const isTime = (ts: JsonValue | undefined): ts is number =>
  typeof ts === "number" && Math.abs(ts) <= 8.64e15;

const printable = (text: string): string => text.replaceAll(/[^ -~]/g, "?").slice(0, 128);

/** The error of an attempt that opened nothing. */
export const wrongCredential = (source: string, cause: unknown): CryptoError =>
  new CryptoError(
    "ERR_WRONG_PASSPHRASE",
    `${isCryptoError(cause) ? cause.message : "Nothing opens the vault"} (from ${source})`,
    {
      cause,
      context: {
        hint: '"lango whoami" shows every source, and --unlock-with KIND takes another one',
      },
    },
  );
