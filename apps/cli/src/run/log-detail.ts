import { createHash } from "node:crypto";
import { resolve } from "node:path";

/** Leaves room for the rest in a detail of the log. */
const MAX_PATH_LENGTH = 768;

/**
 * What the log says of a command: the program's full path, how many words follow its name, and the SHA-256 of all words as
 * `/proc/PID/cmdline` has them, each ended by a zero byte. References among them are hashed as they were written, and the
 * words themselves are not told: somebody may have typed a secret, and which ones there are is not known yet.
 */
export function logDetail(
  program: string,
  file: string,
  words: readonly string[],
  isMasked: boolean,
): string {
  const path = resolve(program);
  const shown = path.length > MAX_PATH_LENGTH ? `…${path.slice(-MAX_PATH_LENGTH)}` : path;
  const hash = createHash("sha256");
  for (const word of [file, ...words]) hash.update(`${word}\0`);
  const count = `${words.length} ${words.length === 1 ? "word" : "words"}`;
  const detail = `${shown.toWellFormed()}, ${count}, sha256:${hash.digest("hex")}`;
  return isMasked ? detail : `${detail}, output not masked`;
}
