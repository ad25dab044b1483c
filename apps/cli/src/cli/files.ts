import { createReadStream } from "node:fs";
import { type Bytes, concat, zero } from "@lango/crypto-core";
import { fileError, replaceFile } from "@lango/envelope";
import { type Arguments, usageError } from "./arguments.ts";

/** Largest input that is held in memory: the limit of a sealed value. */
export const MAX_BUFFERED_BYTES: number = 64 * 1024 * 1024;

/** How more than that is taken. */
export const TOO_LARGE = "Use --stream, with --out FILE or a pipe";

/** The file of `--in`; `undefined` for standard input, as which `-` counts too. */
export const inputOf = (args: Arguments): string | undefined => fileOf(args.string("in"));

/** The file of `--out`; `undefined` for standard output, as which `-` counts too. */
export const outputOf = (args: Arguments): string | undefined => fileOf(args.string("out"));

const fileOf = (file: string | undefined): string | undefined => (file === "-" ? undefined : file);

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
      throw usageError(`${nameOf(file)} holds more than ${sizeOf(maxBytes)}`, hint);
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

const sizeOf = (bytes: number): string =>
  bytes % 2 ** 20 === 0 ? `${bytes / 2 ** 20} MiB` : `${bytes} bytes`;

const nameOf = (file: string | undefined): string => file ?? "Standard input";

/** Writes a file of mode 0600 whole or not at all, and forces it to the disk. Like `replaceFile` of `@lango/envelope`. */
export const writeFileWhole = (file: string, write: (fd: number) => Promise<void>): Promise<void> =>
  replaceFile(file, ({ fd }) => write(fd), { durable: true });
