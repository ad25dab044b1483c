import { lstatSync, renameSync, rmSync } from "node:fs";
import { connect, type Server } from "node:net";
import { CryptoError } from "@lango/crypto-core";

/** `sun_path` is 108 bytes on Linux and 104 elsewhere (unix(7)), the last one a zero. */
const MAX_PATH_BYTES = 103;

const TRIES = 3;

/** Which file a path names now; `undefined` for none. Inodes alone are used again. */
export function identityOf(path: string): string | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat && `${stat.dev}:${stat.ino}:${stat.birthtimeMs}`;
}

/**
 * Listens on a socket of the file system, in the place of one that a killed process left.
 *
 * @returns The identity of the socket.
 * @throws CryptoError `ERR_CONFLICT` when somebody listens there already; `ERR_CONFIG` for a path that is too long or cannot be
 *   listened on.
 */
export async function claim(server: Server, path: string): Promise<string> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new CryptoError(
      "ERR_CONFIG",
      `The socket's path ${path} is longer than ${MAX_PATH_BYTES} bytes`,
      { context: { hint: "Choose a shorter LANGO_HOME" } },
    );
  }
  for (let attempt = 1; attempt <= TRIES; attempt += 1) {
    if (await listen(server, path)) return identityOf(path) ?? "";
    const found = identityOf(path);
    if (await isAlive(path)) throw conflict();
    removeStale(path, found);
  }
  throw conflict();
}

const conflict = (): CryptoError =>
  new CryptoError("ERR_CONFLICT", "An unlock agent runs already", {
    context: { hint: 'End it first: "lango lock"' },
  });

/** `false` when there is a file at the path already. */
function listen(server: Server, path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException): void => {
      server.removeListener("listening", listening);
      const { code } = cause;
      if (code === "EADDRINUSE") resolve(false);
      else
        reject(new CryptoError("ERR_CONFIG", `${path} cannot be listened on (${code})`, { cause }));
    };
    const listening = (): void => {
      server.removeListener("error", failed);
      resolve(true);
    };
    server.once("error", failed);
    server.once("listening", listening);
    server.listen(path);
  });
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (alive: boolean): void => {
      socket.destroy();
      resolve(alive);
    };
    socket.once("connect", () => end(true));
    socket.once("error", ({ code }: NodeJS.ErrnoException) =>
      end(code !== "ECONNREFUSED" && code !== "ENOENT"),
    );
  });
}

/** Moved away before it is removed: another process may have done both, and have its own socket there by now. */
function removeStale(path: string, found: string | undefined): void {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  if (identityOf(aside) === found) rmSync(aside);
  else renameSync(aside, path);
}
