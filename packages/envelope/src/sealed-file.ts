import { type FileHandle, open as openHandle, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type Bytes,
  CryptoError,
  type CryptoErrorCode,
  randomBytesFresh,
  toHex,
  zero,
} from "@lango/crypto-core";
import type { StartedMachine } from "./chunks.ts";
import type { OpenOptions, SealOptions } from "./recipients.ts";
import { createOpener, startSealing } from "./sealed.ts";

/** Read at once: large enough that the calls cost nothing, small enough for the caches of the processor. */
const BLOCK_BYTES = 1024 * 1024;

export interface FilePaths {
  /** The file to read. */
  readonly from: string;
  /** The file to make or replace; may be the same. Its folder must exist. */
  readonly to: string;
}

/**
 * Seals a file of any length for recipients, as `createSealStream` does.
 *
 * The result is written beside `to` under a temporary name, readable by its owner only, and renamed at the end: `to` is
 * never half written. It is handed to the system, not forced to the disk. On failure the temporary file is removed.
 *
 * @throws {@link CryptoError} As `seal`; `ERR_NOT_FOUND`, `ERR_ACCESS_DENIED`, `ERR_INVALID_ARGUMENT` or
 *   `ERR_INTERNAL` for what the file system refuses, with its error as `cause`.
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
  // Not named after `to`, whose name may be as long as a name can be.
  const temporary = join(dirname(to), `.lango-${toHex(randomBytesFresh(8))}.tmp`);
  let source: FileHandle | undefined;
  let target: FileHandle | undefined;
  try {
    source = await openHandle(from, "r");
    target = await openHandle(temporary, "wx", 0o600);
    await pump(source, target, await start(), signal);
    await target.close();
    await rename(temporary, to);
  } catch (error) {
    if (target !== undefined) {
      await target.close().catch(() => undefined);
      await rm(temporary, { force: true });
    }
    throw toCryptoError(error);
  } finally {
    await source?.close();
  }
};

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
  source: FileHandle,
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

const read = (source: FileHandle, block: Uint8Array): Promise<number> =>
  awaitedLater(source.read(block, 0, block.length, null).then(({ bytesRead }) => bytesRead));

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

const FILE_ERRORS: Readonly<Record<string, CryptoErrorCode>> = {
  ENOENT: "ERR_NOT_FOUND",
  EACCES: "ERR_ACCESS_DENIED",
  EPERM: "ERR_ACCESS_DENIED",
  EROFS: "ERR_ACCESS_DENIED",
  EISDIR: "ERR_INVALID_ARGUMENT",
  ENOTDIR: "ERR_INVALID_ARGUMENT",
};

/** Errors of the file system carry `syscall`; everything else is right as it is, abort reasons too. */
const toCryptoError = (error: unknown): unknown => {
  if (!(error instanceof Error) || !("syscall" in error) || !("code" in error)) return error;
  const code = FILE_ERRORS[String(error.code)] ?? "ERR_INTERNAL";
  return new CryptoError(code, error.message, { cause: error });
};
