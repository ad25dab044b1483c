import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readFileSync,
  type Stats,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { CryptoError, isCryptoError } from "@lango/crypto-core";
import { type JsonValue, parseJsonStrict } from "@lango/envelope";
import { chmodHint } from "@lango/unlock";
import { type Config, DEFAULTS } from "./defaults.ts";

/** Largest `config.json`, in bytes. */
const MAX_CONFIG_BYTES = 1024 * 1024;

/** Where the configuration of a home is. */
export const configPath = (home: string): string => join(home, "config.json");

/**
 * Reads `config.json` in the home of Lango. A file that is not there means all defaults, and costs nothing: the schema
 * is loaded only when there is something to check. Nothing is ever written.
 *
 * @throws CryptoError `ERR_CONFIG` for a file that others can write, of another owner, larger than 1 MiB, that is no
 *   JSON (with line and column) or that has faults (with the path of each); `ERR_ACCESS_DENIED`.
 */
export async function loadConfig(home: string): Promise<Config> {
  const value = await readConfigFile(home);
  if (value === undefined) return DEFAULTS;
  const { validateConfig } = await import("./validate.ts");
  return validateConfig(value, configPath(home));
}

/**
 * Reads what `config.json` says, without defaults and unchecked.
 *
 * @throws CryptoError like {@link loadConfig}, except for faults in the settings.
 */
export async function readConfigFile(home: string): Promise<JsonValue | undefined> {
  const path = configPath(home);
  const file = readIfThere(path);
  if (file === undefined) return undefined;
  const value = await parse(file.bytes, path);
  if (holdsToken(value) && isUnix && (file.stat.mode & 0o077) !== 0) {
    throw tooOpen(path, file.stat, "holds a token and others may read it", "600");
  }
  return value;
}

const isUnix = process.platform !== "win32";

function readIfThere(path: string): { bytes: Uint8Array; stat: Stats } | undefined {
  let fd: number;
  try {
    // Without O_NONBLOCK a named pipe would hold the command for ever.
    fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return undefined;
    if (code === "ENOTDIR") {
      throw new CryptoError("ERR_CONFIG", `The home ${dirname(path)} is no folder`, {
        cause,
        context: { hint: "Name another one with --home or LANGO_HOME" },
      });
    }
    if (code === "EACCES" || code === "EPERM") {
      throw new CryptoError("ERR_ACCESS_DENIED", `Cannot read ${path}: permission denied`, {
        cause,
        context: { hint: "Check the owner and mode of the file and of its folder" },
      });
    }
    throw new CryptoError("ERR_CONFIG", `${path} cannot be opened (${code})`, { cause });
  }
  try {
    const stat = fstatSync(fd);
    check(path, stat);
    return { bytes: readFileSync(fd), stat };
  } finally {
    closeSync(fd);
  }
}

function check(path: string, stat: Stats): void {
  if (!stat.isFile()) throw new CryptoError("ERR_CONFIG", `${path} is not a regular file`);
  if (stat.size > MAX_CONFIG_BYTES) {
    throw new CryptoError("ERR_CONFIG", `${path} has ${stat.size} bytes, more than 1 MiB`);
  }
  if (!isUnix) return;
  if (stat.uid !== process.geteuid?.()) {
    throw new CryptoError("ERR_CONFIG", `${path} belongs to user ${stat.uid}`, {
      context: { hint: "Whoever can write it steers Lango; make a copy of your own" },
    });
  }
  if ((stat.mode & 0o022) !== 0) throw tooOpen(path, stat, "others may change it", "go-w");
}

/** As the database refuses a folder that others may enter; a folder that is not there will be made. */
export function checkPrivate(home: string): void {
  const stat = statSync(home, { throwIfNoEntry: false });
  if (isUnix && stat?.isDirectory() && (stat.mode & 0o077) !== 0) {
    throw tooOpen(home, stat, "others may read or change it", "700");
  }
}

function tooOpen(path: string, stat: Stats, what: string, mode: string): CryptoError {
  const shown = (stat.mode & 0o777).toString(8).padStart(4, "0");
  return new CryptoError("ERR_CONFIG", `${path} has mode ${shown}: ${what}`, {
    context: { hint: chmodHint(path, mode) },
  });
}

/** The gateway's token is the one secret that a configuration may hold. */
function holdsToken(value: JsonValue): boolean {
  const token = (value as { gateway?: { auth?: { token?: unknown } } } | null)?.gateway?.auth
    ?.token;
  return typeof token === "string" && token !== "";
}

async function parse(bytes: Uint8Array, path: string): Promise<JsonValue> {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    throw new CryptoError("ERR_CONFIG", `${path} begins with a byte order mark (BOM)`, {
      context: { hint: "Save it as UTF-8 without BOM" },
    });
  }
  try {
    return parseJsonStrict(bytes, { maxBytes: MAX_CONFIG_BYTES });
  } catch (error) {
    if (!isCryptoError(error)) throw error;
    throw new CryptoError("ERR_CONFIG", `${path}: ${inLines(error.message, bytes)}`, {
      cause: error,
      context: { hint: 'Correct it there; "lango settings schema" says what it may hold' },
    });
  }
}

/** Says line and column where the parser counts characters from the start. */
function inLines(message: string, bytes: Uint8Array): string {
  const position = /at position (\d+)$/.exec(message);
  if (position === null) return message;
  const text = new TextDecoder().decode(bytes);
  const at = Number(position[1]);
  const before = text.slice(0, at).split("\n");
  const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
  const where = `at line ${before.length}, column ${before.at(-1)!.length + 1}: ${JSON.stringify(character)}`;
  return message.slice(0, position.index) + where;
}
