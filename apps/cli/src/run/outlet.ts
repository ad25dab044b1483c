import { write } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";

const writeSome = promisify(write);

/**
 * Writes everything to a file descriptor. Not with `process.stdout`: that blocks on a pipe whose reader is slow, and with it
 * the signals that are to be passed on.
 *
 * @throws The error of the system; `EPIPE` when the reader has gone.
 */
export async function writeFully(fd: number, bytes: Uint8Array): Promise<void> {
  let rest = bytes;
  while (rest.length > 0) {
    try {
      const { bytesWritten } = await writeSome(fd, rest);
      rest = rest.subarray(bytesWritten);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      // Somebody else has set the pipe to non-blocking, and it is full.
      await setTimeout(2);
    }
  }
}
