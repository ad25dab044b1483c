import { setTimeout as sleep } from "node:timers/promises";

const PIECES = 10;

/** Waits; rejects when the client has gone. */
export const pause = async (ms: number, gone: AbortSignal): Promise<void> => {
  await sleep(ms, undefined, { signal: gone });
};

/** A body as a slow line brings it: in pieces, the last one after about `ms`. */
export async function* inPieces(
  body: Buffer,
  ms: number,
  gone: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const size = Math.max(1, Math.ceil(body.length / PIECES));
  for (let start = 0; start < body.length; start += size) {
    await pause(ms / PIECES, gone);
    yield body.subarray(start, start + size);
  }
}
