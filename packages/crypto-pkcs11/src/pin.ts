import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { isAbsolute, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { type Bytes, type ProviderEnv, utf8 } from "@lango/crypto-core";
import { fail } from "./errors.ts";

/** PKCS#11 tokens take at most 255 bytes. */
const MAX_PIN_BYTES = 255;

/**
 * The PIN: of `LANGO_PKCS11_PIN`, or else of the file that `pinSource` names, without one newline at its end.
 *
 * @throws {@link CryptoError} `ERR_CONFIG` for a source that is no file, is not there, or that others may read.
 */
export function findPin(pinSource: string | undefined, env: ProviderEnv): Bytes | undefined {
  const fromEnv = env["LANGO_PKCS11_PIN"];
  if (fromEnv !== undefined && fromEnv !== "") return utf8(fromEnv);
  return pinSource === undefined ? undefined : readPinFile(pathOf(pinSource), env);
}

/** RFC 7512 §2.4: `file:` or a path. A command (`|…`) is never run. */
function pathOf(pinSource: string): string {
  if (isAbsolute(pinSource)) return pinSource;
  try {
    if (pinSource.startsWith("file:"))
      return fileURLToPath(pinSource.replace(/^file:\/?(?=[^/])/, "file:///"));
  } catch {
    // Named below.
  }
  throw fail("ERR_CONFIG", "pinSource must be file: and an absolute path");
}

function readPinFile(path: string, env: ProviderEnv): Bytes {
  let file: number;
  try {
    // Without O_NONBLOCK a named pipe would hold the whole process for ever.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw fail("ERR_CONFIG", `The PIN file ${path} cannot be opened (${code})`);
  }
  const room = Buffer.alloc(MAX_PIN_BYTES + 2);
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) throw fail("ERR_CONFIG", `The PIN file ${path} is no regular file`);
    checkMode(stat.mode, path, env);
    const length = readSync(file, room);
    const text = room.subarray(0, length);
    const end = text.at(-1) === 0x0a ? (text.at(-2) === 0x0d ? length - 2 : length - 1) : length;
    if (end < 1 || end > MAX_PIN_BYTES) {
      throw fail("ERR_CONFIG", `The PIN file ${path} has to hold 1 to ${MAX_PIN_BYTES} bytes`);
    }
    return new Uint8Array(text.subarray(0, end));
  } finally {
    room.fill(0);
    closeSync(file);
  }
}

function checkMode(mode: number, path: string, env: ProviderEnv): void {
  // Windows has no such mode bits.
  if (process.platform === "win32") return;
  // What a container or systemd mounts there is kept from others by the folder.
  const handedOver = ["/run/secrets", env["CREDENTIALS_DIRECTORY"]].some(
    (folder) => folder && resolve(path).startsWith(folder + sep),
  );
  if ((mode & (handedOver ? 0o022 : 0o077)) === 0) return;
  const octal = (mode & 0o777).toString(8).padStart(4, "0");
  throw fail("ERR_CONFIG", `The PIN file ${path} has mode ${octal}: others may use it`, {
    hint: `Run: chmod 600 '${path}'`,
  });
}
