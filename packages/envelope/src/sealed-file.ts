import { type FileHandle, open as openHandle } from "node:fs/promises";
import { type Bytes, zero } from "@lango/crypto-core";
import type { StartedMachine } from "./chunks.ts";
import { fileError } from "./file-errors.ts";
import type { OpenOptions, SealOptions } from "./recipients.ts";
import { replaceFile } from "./replace-file.ts";
import { createOpener, startSealing } from "./sealed.ts";

/** Read at once: large enough that the calls cost nothing, small enough for the caches of the processor. */
const BLOCK_BYTES = 1024 * 1024;

export interface FilePaths {
  /** The file to read. */
  readonly from: string;
  /**
   * The file to make or replace; may be the same. Its folder must exist. A link is followed; a device, a pipe or a
   * folder is refused.
   */
  readonly to: string;
}

/**
 * Seals a file of any length for recipients, as `createSealStream` does.
 *
 * The result is written beside `to` under a temporary name, readable by its owner only, and renamed at the end: `to` is
 * never half written. It is handed to the system, not forced to the disk. On failure the temporary file is removed; one that
 * a killed process left, by the next call for the same file.
 *
 * @throws {@link CryptoError} As `seal`; `ERR_NOT_FOUND`, `ERR_ACCESS_DENIED`, `ERR_INVALID_ARGUMENT`, `ERR_BUSY` (the
 *   disk is full) or `ERR_INTERNAL` for what the file system refuses, with its error as `cause`.
 */
export const sealFile = (options: SealOptions & FilePaths): Promise<void> =>
  transformFile(options, () => startSealing(options, alternatingMemory()));

/**
 * Opens a sealed file, be it of {@link sealFile}, `createSealStream` or `seal`. All of it is authenticated before `to`
 * appears.
 *
 * @throws {@link CryptoError} As `open`, and as {@link sealFile} for files.
 */
export const openFile = (options: OpenOptions & FilePaths): Promise<void> =>
  transformFile(options, async () => ({ machine: createOpener(options) }));

const transformFile = async (
  { from, to, signal }: FilePaths & { readonly signal?: AbortSignal | undefined },
  start: () => Promise<StartedMachine>,
): Promise<void> => {
  let source: FileHandle | undefined;
  try {
    source = await openHandle(from, "r");
    const input: Input = { handle: source, name: from };
    await replaceFile(to, async (target) => pump(input, target, await start(), signal));
  } catch (error) {
    throw fileError("read", from, error);
  } finally {
    await source?.close();
  }
};

interface Input {
  readonly handle: FileHandle;
  readonly name: string;
}

/** Two buffers in turn: {@link pump} has written what is in the one before it asks for it again. */
const alternatingMemory = (): ((length: number) => Bytes) => {
  let [next, other]: [Bytes, Bytes] = [new Uint8Array(), new Uint8Array()];
  return (length) => {
    [next, other] = [other, next];
    if (next.length < length) next = new Uint8Array(length);
    return next.subarray(0, length);
  };
};

/** Reads the next block and writes the one before while the machine works on one. */
const pump = async (
  source: Input,
  target: FileHandle,
  { machine, first }: StartedMachine,
  signal: AbortSignal | undefined,
): Promise<void> => {
  let [block, spare] = [new Uint8Array(BLOCK_BYTES), new Uint8Array(BLOCK_BYTES)];
  let writing = write(target, first === undefined ? [] : [first]);
  let reading = read(source, block);
  try {
    for (;;) {
      const length = await reading;
      signal?.throwIfAborted();
      if (length === 0) break;
      const filled = block.subarray(0, length);
      [block, spare] = [spare, block];
      reading = read(source, block);
      const chunks = await machine.push(filled);
      await writing;
      writing = write(target, chunks);
    }
    const chunks = await machine.end();
    await writing;
    await write(target, chunks);
  } finally {
    // Neither may still run when the files are closed.
    await Promise.allSettled([reading, writing]);
    zero(block, spare);
  }
};

const read = ({ handle, name }: Input, block: Uint8Array): Promise<number> => {
  const run = async (): Promise<number> => {
    try {
      return (await handle.read(block, 0, block.length, null)).bytesRead;
    } catch (error) {
      throw fileError("read", name, error);
    }
  };
  return awaitedLater(run());
};

const write = (target: FileHandle, chunks: readonly Bytes[]): Promise<void> => {
  const run = async (): Promise<void> => {
    let rest = chunks.filter((chunk) => chunk.length > 0);
    while (rest.length > 0) rest = skip(rest, (await target.writev(rest)).bytesWritten);
  };
  return awaitedLater(run());
};

/** What is left of `chunks` after their first `count` bytes. */
const skip = (chunks: readonly Bytes[], count: number): Bytes[] =>
  chunks.flatMap((chunk) => {
    const written = Math.min(count, chunk.length);
    count -= written;
    return written === chunk.length ? [] : [chunk.subarray(written)];
  });

/** A failure before the promise is awaited is not an unhandled one. */
const awaitedLater = <T>(promise: Promise<T>): Promise<T> => {
  promise.catch(() => undefined);
  return promise;
};
