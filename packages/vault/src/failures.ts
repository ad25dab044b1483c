import { CryptoError, type CryptoErrorCode, isCryptoError } from "@lango/crypto-core";
import type { AuditLog, NewEntry } from "./audit/log.ts";

/** Of a process whose vault key is no longer the one of the vault: nothing may be written with what it derives. */
export const vaultKeyChanged = (cause?: unknown): CryptoError =>
  new CryptoError("ERR_LOCKED", "The vault key was changed: open the vault again", {
    context: { hint: "Run the command again; a server has to be started again" },
    cause,
  });

/** Not worth a row: the call was wrong in itself, or the same call may work in a moment. */
const UNRECORDED: ReadonlySet<CryptoErrorCode> = new Set<CryptoErrorCode>([
  "ERR_INVALID_ARGUMENT",
  "ERR_CLOSED",
  "ERR_BUSY",
]);

/** Nothing has the name that was given: it may be a value, typed or pasted where a name belongs. */
const UNNAMED: ReadonlySet<CryptoErrorCode> = new Set<CryptoErrorCode>([
  "ERR_NOT_FOUND",
  "ERR_KEY_NOT_FOUND",
]);

/**
 * Records that an operation failed, in a transaction of its own. Never rejects: nothing was released, and the caller
 * has an error to report already.
 */
export const auditFailure = async (
  log: AuditLog,
  { target, ...entry }: Pick<NewEntry, "action" | "target" | "audience" | "detail">,
  error: unknown,
): Promise<void> => {
  const code = isCryptoError(error) ? error.code : "ERR_INTERNAL";
  if (UNRECORDED.has(code)) return;
  // What callers must not tell apart, the log may: the cause names it, without values.
  const cause = isCryptoError(error) && isCryptoError(error.cause) ? error.cause : undefined;
  const detail = entry.detail ?? cause?.message;
  try {
    const named = UNNAMED.has(code) ? {} : { target };
    await log.commit("normal", { ...entry, ...named, outcome: "failure", code, detail });
  } catch {
    // The log cannot be written now; the operation has failed all the same.
  }
};
