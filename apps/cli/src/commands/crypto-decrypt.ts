import { statSync } from "node:fs";
import { CryptoError, fromBase64, zero } from "@lango/crypto-core";
import { createOpenStream, fileError, type OpenOptions, open, openFile } from "@lango/envelope";
import { type Arguments, usageError } from "../cli/arguments.ts";
import type { Handler, Result } from "../cli/command.ts";
import { aadOf, checkKey, openWith } from "../cli/crypto.ts";
import { checkStreamOutput, deliver, deliverStream, isStreamOutput } from "../cli/deliver.ts";
import {
  inputOf,
  MAX_BUFFERED_BYTES,
  outputOf,
  readChunks,
  readInput,
  TOO_LARGE,
} from "../cli/files.ts";
import { interruptible } from "../cli/interrupt.ts";
import { withVault } from "../cli/vault.ts";

/** What a sealed message of {@link MAX_BUFFERED_BYTES} has at most beside it: the header and the tags of its pieces. */
const OVERHEAD_BYTES = 1024 * 1024;
const MAX_MESSAGE_BYTES = MAX_BUFFERED_BYTES + OVERHEAD_BYTES;
/** The same in base64 (RFC 4648 §4), with a line break at its end. */
const MAX_TEXT_BYTES = 4 * Math.ceil(MAX_MESSAGE_BYTES / 3) + 2;

/** Opens what `crypto encrypt` made. Except with `--stream`, all of it is verified before a byte is written. */
export const run: Handler = async (context, args) => {
  const from = inputOf(args);
  const to = outputOf(args);
  checkStreamOutput(args);
  if (args.flag("json") && to === undefined && !args.flag("reveal")) {
    throw usageError("--json shows no plaintext without --reveal", "Use --out FILE or --reveal");
  }
  const key = args.string("key");
  const only = key === undefined ? undefined : checkKey(key);
  return withVault(context, args, { stdinFree: from !== undefined }, (vault, providers) =>
    openWith({ vault, providers }, only, async (resolve): Promise<Result> => {
      const options = { resolve, aad: aadOf(args) };
      // Only a file of raw bytes can be read twice: once to verify all of it, once to write.
      const file = from !== undefined && (await isRawFile(from)) ? from : undefined;
      if (file !== undefined && to !== undefined) {
        await interruptible((signal) => openFile({ from: file, to, ...options, signal }));
        return { data: { out: to } };
      }
      if (args.flag("stream") || (file !== undefined && isStreamOutput(args))) {
        return interruptible((signal) => openInPieces(args, file, { ...options, signal }));
      }
      const plaintext = await open({ sealed: await readMessage(from), ...options });
      try {
        return await deliver(args, plaintext, "plaintext", {});
      } finally {
        zero(plaintext);
      }
    }),
  );
};

/** @param file - Is verified whole before the first byte is written. */
async function openInPieces(
  args: Arguments,
  file: string | undefined,
  options: OpenOptions,
): Promise<Result> {
  const pieces = (): ReadableStream<Uint8Array> =>
    ReadableStream.from(readChunks(inputOf(args), options.signal)).pipeThrough(
      createOpenStream(options),
    );
  if (file !== undefined) {
    for await (const piece of pieces()) {
      zero(piece);
    }
  }
  return deliverStream(args, pieces(), {});
}

/** "LNGR", with which every sealed message begins, in base64; the last character depends on what follows. */
const BASE64_MAGIC = "TE5HU";

const isBase64 = (bytes: Uint8Array): boolean =>
  new TextDecoder("latin1").decode(bytes.subarray(0, BASE64_MAGIC.length)) === BASE64_MAGIC;

/** Whether this is a file, and not a pipe, of a sealed message that is not base64. */
async function isRawFile(path: string): Promise<boolean> {
  try {
    if (!statSync(path).isFile()) {
      return false;
    }
  } catch (error) {
    throw fileError("read", path, error);
  }
  for await (const chunk of readChunks(path)) {
    return !isBase64(chunk);
  }
  return true;
}

/** What `crypto encrypt` shows on a terminal is taken as well as the bytes themselves. */
async function readMessage(from: string | undefined): Promise<Uint8Array> {
  const input = await readInput(from, MAX_TEXT_BYTES, TOO_LARGE);
  if (!isBase64(input)) {
    if (input.length > MAX_MESSAGE_BYTES) {
      throw usageError("The sealed message holds more than 64 MiB", TOO_LARGE);
    }
    return input;
  }
  const message = fromBase64(new TextDecoder("latin1").decode(input).trimEnd());
  if (message === undefined) {
    throw new CryptoError("ERR_MALFORMED_ENVELOPE", "The sealed message is not valid base64");
  }
  return message;
}
