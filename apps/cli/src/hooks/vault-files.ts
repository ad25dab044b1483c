import { realpathSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve, sep } from "node:path";
import type { JsonObject } from "./event.ts";

/** Fields of a tool's input that name a file or folder, as agents call them. */
const PATH_FIELDS = ["file_path", "path", "notebook_path", "target_file", "filePath"] as const;
/** Fields that hold a command line or a patch. */
const COMMAND_FIELDS = ["command", "cmd", "script"] as const;

/**
 * Whether a tool is about to touch the vault's own files. Paths are compared when links are resolved. A command line is
 * only searched for the folder's name: whoever wants to hide it can, and a shell of the same user reads what it likes.
 */
export function touchesVault(home: string, input: JsonObject, cwd: string): boolean {
  const homes = new Set([home, real(home)]);
  const isInside = (path: string): boolean => {
    const absolute = real(resolve(cwd, path.replace(/^~(?=\/|$)/, homedir())));
    return [...homes].some((each) => absolute === each || absolute.startsWith(`${each}${sep}`));
  };
  const texts = (fields: readonly string[]): string[] =>
    fields.flatMap((field) => [input[field]].flat()).filter((each) => typeof each === "string");
  if (texts(PATH_FIELDS).some(isInside)) return true;
  const spellings = [...homes, ...[...homes].map(underTilde)];
  return texts(COMMAND_FIELDS).some((command) => spellings.some((each) => command.includes(each)));
}

/** The path with links resolved, as far as it is there. */
function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(real(parent), path.slice(parent.length));
  }
}

const underTilde = (path: string): string =>
  path.startsWith(`${homedir()}${sep}`) ? `~${path.slice(homedir().length)}` : path;
