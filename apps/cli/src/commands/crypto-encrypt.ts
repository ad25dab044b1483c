import { statSync } from "node:fs";
import { zero } from "@lango/crypto-core";
import { createSealStream, seal, sealFile } from "@lango/envelope";
import type { Handler } from "../cli/command.ts";
import { aadOf, checkKey, recipientsOf } from "../cli/crypto.ts";
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

/** Whether this file is too large to be held in memory. */
const isLarge = (file: string | undefined): boolean =>
  file !== undefined && (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > MAX_BUFFERED_BYTES;

/** Seals stdin or a file for one or several keys. */
export const run: Handler = async (context, args) => {
  const given = args.strings("key");
  const wanted = (given.length === 0 ? ["default"] : given).map(checkKey);
  const from = inputOf(args);
  const to = outputOf(args);
  checkStreamOutput(args);
  return withVault(context, args, { stdinFree: from !== undefined }, async (vault, providers) => {
    const recipients = await recipientsOf({ vault, providers }, wanted);
    const keys = recipients.map(({ uri }) => uri);
    const options = { recipients, aad: aadOf(args) };
    if (from !== undefined && to !== undefined) {
      await interruptible((signal) => sealFile({ from, to, ...options, signal }));
      return { data: { keys, out: to } };
    }
    if (args.flag("stream") || (isLarge(from) && isStreamOutput(args))) {
      return interruptible((signal) => {
        const sealing = createSealStream({ ...options, signal });
        const input = ReadableStream.from(readChunks(from, signal));
        return deliverStream(args, input.pipeThrough(sealing), { keys });
      });
    }
    const plaintext = await readInput(from, MAX_BUFFERED_BYTES, TOO_LARGE);
    try {
      return await deliver(args, await seal({ plaintext, ...options }), "ciphertext", { keys });
    } finally {
      zero(plaintext);
    }
  });
};
