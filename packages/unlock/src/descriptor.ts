import {
  closeSync,
  fstatSync,
  read,
  readdirSync,
  readFileSync,
  type Stats,
  statSync,
} from "node:fs";
import { devNull } from "node:os";
import { promisify } from "node:util";
import { type Bytes, CryptoError, isCryptoError } from "@lango/crypto-core";

/** Largest passphrase or key text that is read from anywhere, in bytes. */
export const MAX_SECRET_BYTES: number = 64 * 1024;

const LAST_STANDARD_DESCRIPTOR = 2;

/**
 * Whether a descriptor is a terminal. `node:tty` is loaded late for the same reason as `node:net` below, and not at all for
 * what cannot be one: a file, a pipe, or the null device.
 */
export function isTerminal(fd: number): boolean {
  const stat = statIfOpen(fd);
  if (stat?.isCharacterDevice() !== true || stat.rdev === statSync(devNull).rdev) return false;
  return process.getBuiltinModule("node:tty").isatty(fd);
}

/**
 * Looks at a descriptor that a person named.
 *
 * @throws CryptoError `ERR_INVALID_ARGUMENT` when it is not open, or nothing that can be read to an end.
 */
export function inspectDescriptor(fd: number, source: string): Stats {
  const stat = statIfOpen(fd);
  // Node keeps event queues and pipes of its own at low numbers; to the person who named one it is not open.
  if (stat === undefined || isOwnPipe(stat)) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", `${source}: file descriptor ${fd} is not open`, {
      context: { hint: `Open it for the command, as in: lango … ${fd}< FILE` },
    });
  }
  if (!(stat.isFile() || stat.isFIFO() || stat.isSocket() || stat.isCharacterDevice())) {
    throw new CryptoError(
      "ERR_INVALID_ARGUMENT",
      `${source}: file descriptor ${fd} is not a file, a pipe or a socket`,
    );
  }
  return stat;
}

export interface ReadOptions {
  /** How errors name what is read. */
  readonly source: string;
  /** Milliseconds to wait for the first byte of a pipe or socket. Default: for ever. */
  readonly firstByteMs?: number;
}

/**
 * Reads a descriptor to its end and closes it, except 0, 1 and 2. What was read is left in no other buffer.
 *
 * @returns The bytes, possibly none; `undefined` when the first byte did not come in time.
 * @throws CryptoError `ERR_CONFIG` beyond {@link MAX_SECRET_BYTES}, `ERR_INVALID_ARGUMENT` when it cannot be read.
 */
export async function readDescriptor(
  fd: number,
  stat: Stats,
  options: ReadOptions,
): Promise<Bytes | undefined> {
  const buffer = new Uint8Array(MAX_SECRET_BYTES + 1);
  try {
    const length =
      stat.isFIFO() || stat.isSocket()
        ? await readPipe(fd, buffer, options.firstByteMs)
        : await readFile(fd, buffer);
    if (length === undefined) return undefined;
    if (length > MAX_SECRET_BYTES) {
      throw new CryptoError(
        "ERR_CONFIG",
        `${options.source} holds more than ${MAX_SECRET_BYTES} bytes`,
      );
    }
    return buffer.slice(0, length);
  } catch (cause) {
    if (isCryptoError(cause)) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown error";
    throw new CryptoError("ERR_INVALID_ARGUMENT", `${options.source} cannot be read (${code})`, {
      cause,
    });
  } finally {
    buffer.fill(0);
  }
}

const readAt = promisify(read);

async function readFile(fd: number, buffer: Uint8Array): Promise<number> {
  try {
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await readAt(fd, buffer, length, buffer.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return length;
  } finally {
    if (fd > LAST_STANDARD_DESCRIPTOR) closeSync(fd);
  }
}

// A socket and not fs.read: a blocked read occupies a thread, and the process could not exit before it returns.
// libuv itself leaves descriptors 0 to 2 open when the socket is destroyed.
function readPipe(
  fd: number,
  buffer: Uint8Array,
  firstByteMs: number | undefined,
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    // Loaded here and not above: it costs milliseconds, and most commands read no pipe.
    const { Socket } = process.getBuiltinModule("node:net");
    const socket = new Socket({ fd, readable: true, writable: false });
    const finish = (length: number | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(length);
    };
    const timer =
      firstByteMs === undefined ? undefined : setTimeout(() => finish(undefined), firstByteMs);
    let length = 0;
    socket.on("data", (chunk: Uint8Array) => {
      clearTimeout(timer);
      const part = chunk.subarray(0, buffer.length - length);
      buffer.set(part, length);
      length += part.length;
      chunk.fill(0);
      if (length === buffer.length) finish(length);
    });
    socket.on("end", () => finish(length));
    socket.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
  });
}

function statIfOpen(fd: number): Stats | undefined {
  try {
    return fstatSync(fd);
  } catch {
    return undefined;
  }
}

/** Whether this process also holds the writing end of a pipe: such a pipe would never end. Known on Linux only. */
function isOwnPipe(stat: Stats): boolean {
  if (!stat.isFIFO() || process.platform !== "linux") return false;
  try {
    return readdirSync("/proc/self/fd").some((name) => {
      const other = statIfOpen(Number(name));
      return other?.ino === stat.ino && other.dev === stat.dev && isOpenForWriting(name);
    });
  } catch {
    // Without /proc nothing is known.
    return false;
  }
}

function isOpenForWriting(fd: string): boolean {
  const info = readFileSync(`/proc/self/fdinfo/${fd}`, "latin1");
  const flags = /^flags:\s*([0-7]+)$/m.exec(info)?.[1] ?? "0";
  // The two lowest bits are the access mode; 0 is reading only (open(2)).
  return (Number.parseInt(flags, 8) & 3) !== 0;
}
