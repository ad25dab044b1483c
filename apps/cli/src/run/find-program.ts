import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { CryptoError, type CryptoErrorCode } from "@lango/crypto-core";
import type { Context } from "../cli/context.ts";

/** Why a command cannot be started, with the exit status that shells report. */
export interface CannotStart {
  readonly exit: 126 | 127;
  readonly failure: CryptoError;
}

const cannot = (
  file: string,
  exit: CannotStart["exit"],
  code: CryptoErrorCode,
  reason: string,
): CannotStart => ({ exit, failure: new CryptoError(code, `Cannot run ${file}: ${reason}`) });

const missing = (file: string): CannotStart =>
  cannot(file, 127, "ERR_NOT_FOUND", "there is no such command");
const forbidden = (file: string): CannotStart =>
  cannot(file, 126, "ERR_ACCESS_DENIED", "it cannot be executed");

/**
 * The program that `file` names, found as execvp does (POSIX.1-2024, exec): a name with a slash is a path, any other one is
 * looked for in `PATH`.
 */
export function findProgram(file: string, env: Context["env"]): string | CannotStart {
  // Windows has its own rules, which starting the command follows.
  if (process.platform === "win32") return file;
  if (file.includes("/")) return isFile(file) ? orForbidden(file) : missing(file);
  let found: CannotStart = missing(file);
  for (const folder of (env["PATH"] ?? "/bin:/usr/bin").split(delimiter)) {
    const path = join(isAbsolute(folder) ? folder : join(process.cwd(), folder), file);
    if (!isFile(path)) continue;
    const result = orForbidden(path);
    if (typeof result === "string") return result;
    found = forbidden(file);
  }
  return found;
}

function orForbidden(path: string): string | CannotStart {
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    return forbidden(path);
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The same for an error of starting it: what was found may have changed since. */
export function cannotStart(file: string, error: unknown): CannotStart | undefined {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  if (code === "ENOENT" || code === "ENOTDIR") return missing(file);
  return code === "EACCES" || code === "ENOEXEC" ? forbidden(file) : undefined;
}
