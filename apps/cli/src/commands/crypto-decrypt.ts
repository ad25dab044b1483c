import { CryptoError, fromBase64, zero } from "@lango/crypto-core";
import { createOpenStream, type OpenOptions, open, openFile } from "@lango/envelope";
import { type Arguments, usageError } from "../cli/arguments.ts";
import type { Handler, Result } from "../cli/command.ts";
import { aadOf, openWith, toKeyUri } from "../cli/crypto.ts";
import { checkStreamOutput, deliver, deliverStream } from "../cli/deliver.ts";
import { inputOf, MAX_BUFFERED_BYTES, outputOf, readChunks, readInput } from "../cli/files.ts";
import { interruptible } from "../cli/interrupt.ts";
import { withVault } from "../cli/vault.ts";

/** Headers and base64 make a sealed message longer than what is in it. */
const MAX_MESSAGE_BYTES = 2 * MAX_BUFFERED_BYTES;

/** Opens what `crypto encrypt` made. Except with `--stream`, all of it is verified before a byte is written. */
export const run: Handler = async (context, args) => {
  const from = inputOf(args);
  const to = outputOf(args);
  checkStreamOutput(args);
  if (args.flag("json") && to === undefined && !args.flag("reveal")) {
    throw usageError("--json shows no plaintext without --reveal", "Use --out FILE or --reveal");
  }
  const key = args.string("key");
  const only = key === undefined ? undefined : toKeyUri(key);
  return withVault(context, args, { stdinFree: from !== undefined }, (vault) =>
    openWith(vault, only, async (resolve): Promise<Result> => {
      const options = { resolve, aad: aadOf(args) };
      if (from !== undefined && to !== undefined && !(await isBase64File(from))) {
        await interruptible((signal) => openFile({ from, to, ...options, signal }));
        return { data: { out: to } };
      }
      if (args.flag("stream")) {
        return interruptible((signal) => openInPieces(args, { ...options, signal }));
      }
      const input = await readInput(from, MAX_MESSAGE_BYTES, "Use --stream");
      const plaintext = await open({ sealed: toMessage(input), ...options });
      try {
        return await deliver(args, plaintext, "plaintext", {});
      } finally {
        zero(plaintext);
      }
    }),
  );
};

async function openInPieces(args: Arguments, options: OpenOptions): Promise<Result> {
  const from = inputOf(args);
  const pieces = (): ReadableStream<Uint8Array> =>
    ReadableStream.from(readChunks(from, options.signal)).pipeThrough(createOpenStream(options));
  if (from !== undefined) {
    // A file can be read twice: once to verify all of it, once to write.
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

async function isBase64File(file: string): Promise<boolean> {
  for await (const chunk of readChunks(file)) {
    return isBase64(chunk);
  }
  return false;
}

/** What `crypto encrypt` shows on a terminal is taken as well as the bytes themselves. */
function toMessage(input: Uint8Array): Uint8Array {
  if (!isBase64(input)) {
    return input;
  }
  const message = fromBase64(new TextDecoder("latin1").decode(input).trimEnd());
  if (message === undefined) {
    throw new CryptoError("ERR_MALFORMED_ENVELOPE", "The sealed message is not valid base64");
  }
  return message;
}
