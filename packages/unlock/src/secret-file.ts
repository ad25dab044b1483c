import { closeSync, constants, fstatSync, openSync, type Stats } from "node:fs";
import { resolve, sep } from "node:path";
import { type Bytes, CryptoError } from "@lango/crypto-core";
import { MAX_SECRET_BYTES, readDescriptor } from "./descriptor.ts";

export interface SecretFileOptions {
  /** How errors name the file's part, e.g. `keyfile`. */
  readonly source: string;
  /**
   * Folders that a service manager or container runtime fills. There the mount, not the mode, keeps others out:
   * systemd writes 0440 and Docker 0444, owned by root. So a file below them may be root's and readable by others,
   * but never writable by them.
   */
  readonly handedOver: readonly string[];
  /** Whether a pipe is welcome, as `<(command)` makes one. Elsewhere only a regular file will do. Default false. */
  readonly pipe?: boolean;
  readonly platform: NodeJS.Platform;
}

/**
 * Reads a file that holds a secret, if nobody else can.
 *
 * Symbolic links are followed, since Kubernetes and agenix make secrets that way; what is checked is the file that was
 * opened, so nothing can be exchanged in between.
 *
 * @returns 1 to 65,536 bytes; `undefined` when there is no such file.
 * @throws CryptoError `ERR_CONFIG` for a file that others can read, of another owner, empty, too large, or no file.
 */
export async function readSecretFile(
  path: string,
  options: SecretFileOptions,
): Promise<Bytes | undefined> {
  const name = `${options.source} ${path}`;
  const fd = open(path, name);
  if (fd === undefined) return undefined;
  const stat = fstatSync(fd);
  try {
    check(stat, path, name, options);
  } catch (fault) {
    closeSync(fd);
    throw fault;
  }
  const bytes = await readDescriptor(fd, stat, { source: name });
  if (bytes === undefined || bytes.length === 0) {
    throw new CryptoError("ERR_CONFIG", `${name} is empty`);
  }
  return bytes;
}

/** The hint that takes a file away from others, ready to paste. @param mode - Default `600`: only the owner reads it. */
export function chmodHint(path: string, mode = "600"): string {
  const plain = /^[\w@%+=:,./-]+$/.test(path);
  return `Run: chmod ${mode} ${plain ? path : `'${path.replaceAll("'", "'\\''")}'`}`;
}

function open(path: string, name: string): number | undefined {
  try {
    // Without O_NONBLOCK a forgotten named pipe would hold the command for ever.
    return openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new CryptoError("ERR_CONFIG", `${name} cannot be opened (${code})`, { cause });
  }
}

function check(stat: Stats, path: string, name: string, options: SecretFileOptions): void {
  if (!stat.isFile() && !(options.pipe === true && stat.isFIFO())) {
    throw new CryptoError("ERR_CONFIG", `${name} is not a regular file`);
  }
  if (stat.size > MAX_SECRET_BYTES) {
    throw new CryptoError("ERR_CONFIG", `${name} holds more than ${MAX_SECRET_BYTES} bytes`);
  }
  if (options.platform === "win32") return;
  const handedOver = options.handedOver.some((folder) => resolve(path).startsWith(folder + sep));
  const user = process.geteuid?.();
  if (stat.uid !== user && !(handedOver && stat.uid === 0)) {
    throw new CryptoError("ERR_CONFIG", `${name} belongs to user ${stat.uid}, not to ${user}`, {
      context: { hint: "Make a copy of your own, or change its owner" },
    });
  }
  const forbidden = handedOver ? 0o022 : 0o077;
  if ((stat.mode & forbidden) !== 0) {
    const mode = (stat.mode & 0o777).toString(8).padStart(4, "0");
    const verb = handedOver ? "change" : "read or change";
    throw new CryptoError("ERR_CONFIG", `${name} has mode ${mode}: others may ${verb} it`, {
      context: { hint: chmodHint(path) },
    });
  }
}
