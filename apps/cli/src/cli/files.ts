import { closeSync, createReadStream, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import {
  type Bytes,
  CryptoError,
  type CryptoErrorCode,
  concat,
  isCryptoError,
  randomBytesFresh,
  toHex,
  zero,
} from "@lango/crypto-core";
import { usageError } from "./arguments.ts";

/** Largest input that is held in memory: the limit of a sealed value. */
export const MAX_BUFFERED_BYTES: number = 64 * 1024 * 1024;

/**
 * Reads a file, or stdin when `file` is absent, to its end.
 *
 * @throws CryptoError `ERR_INVALID_ARGUMENT` beyond `maxBytes`; the codes of {@link fileError}.
 */
export async function readInput(
  file: string | undefined,
  maxBytes: number,
  hint?: string,
): Promise<Bytes> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of readChunks(file)) {
    size += chunk.length;
    if (size > maxBytes) {
      throw usageError(`${nameOf(file)} holds more than ${maxBytes} bytes`, hint);
    }
    chunks.push(chunk);
  }
  const whole = concat(...chunks);
  // The input may be a secret: only the caller's copy stays.
  zero(...chunks);
  return whole;
}

/** The bytes of a file, or of stdin when `file` is absent, in pieces, read as they are asked for. */
export async function* readChunks(
  file: string | undefined,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const stream = file === undefined ? process.stdin : createReadStream(file);
  const stop = (): unknown => stream.destroy();
  signal?.addEventListener("abort", stop);
  try {
    yield* stream as AsyncIterable<Uint8Array>;
  } catch (error) {
    signal?.throwIfAborted();
    throw fileError("read", nameOf(file), error);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

const nameOf = (file: string | undefined): string => file ?? "Standard input";

/** Writes a file of mode 0600 whole or not at all: temporary file, fsync, rename, fsync of the folder. */
export async function writeFileWhole(
  file: string,
  write: (fd: number) => Promise<void>,
): Promise<void> {
  const temporary = join(dirname(file), `.${basename(file)}.${toHex(randomBytesFresh(6))}.tmp`);
  try {
    await withFile(temporary, "wx", async (fd) => {
      await write(fd);
      fsyncSync(fd);
    });
    renameSync(temporary, file);
    await withFile(dirname(file), "r", async (fd) => fsyncSync(fd));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw fileError("write", file, error);
  }
}

async function withFile(
  path: string,
  flags: string,
  use: (fd: number) => Promise<void>,
): Promise<void> {
  const fd = openSync(path, flags, 0o600);
  try {
    await use(fd);
  } finally {
    closeSync(fd);
  }
}

const FILE_ERRORS: Readonly<Record<string, readonly [code: CryptoErrorCode, reason: string]>> = {
  ENOENT: ["ERR_NOT_FOUND", "there is no such file or folder"],
  ENOTDIR: ["ERR_NOT_FOUND", "there is no such file or folder"],
  EACCES: ["ERR_ACCESS_DENIED", "permission denied"],
  EPERM: ["ERR_ACCESS_DENIED", "permission denied"],
  EROFS: ["ERR_ACCESS_DENIED", "the file system is read-only"],
  EISDIR: ["ERR_INVALID_ARGUMENT", "it is a folder"],
};

/** An error of the system as a CryptoError with a reason in words; what is not in the table stays as it is. */
export function fileError(verb: "read" | "write", name: string, error: unknown): unknown {
  const known = FILE_ERRORS[(error as NodeJS.ErrnoException).code ?? ""];
  return known === undefined || isCryptoError(error)
    ? error
    : new CryptoError(known[0], `Cannot ${verb} ${name}: ${known[1]}`, { cause: error });
}
