import { toBase64 } from "@lango/crypto-core";
import { type Arguments, usageError } from "./arguments.ts";
import { isTerminal } from "./color.ts";
import type { Result } from "./command.ts";
import { outputOf, writeFileWhole } from "./files.ts";
import { writeAll } from "./output.ts";

type Data = Readonly<Record<string, unknown>>;

/**
 * Delivers the bytes that a command made: into `--out`; with `--json` into the document; else to stdout, as base64 when
 * that is a terminal or `--base64` asks for it, and raw otherwise.
 *
 * @param field - The field of the document that holds the bytes as base64.
 * @param data - The rest of the document.
 */
export async function deliver(
  args: Arguments,
  bytes: Uint8Array,
  field: string,
  data: Data,
): Promise<Result> {
  const out = outputOf(args);
  if (out !== undefined) {
    await writeFileWhole(out, async (fd) => writeAll(fd, bytes));
    return { data: { ...data, out, bytes: bytes.length } };
  }
  if (args.flag("json")) {
    return { data: { ...data, [field]: toBase64(bytes) } };
  }
  writeAll(1, args.flag("base64") || isTerminal(1) ? `${toBase64(bytes)}\n` : bytes);
  return {};
}

/** Whether bytes can be delivered as they come: into a file, or as they are to stdout. */
export const isStreamOutput = (args: Arguments): boolean =>
  outputOf(args) !== undefined || !(args.flag("json") || args.flag("base64") || isTerminal(1));

/** Refuses the forms of output that a stream cannot have, before anything is unlocked or read. */
export function checkStreamOutput(args: Arguments): void {
  if (args.flag("stream") && !isStreamOutput(args)) {
    throw usageError(
      "A stream has no text form",
      "Use --out FILE or a pipe, without --base64 and --json",
    );
  }
}

/** Delivers bytes as they come: into `--out`, which appears when all are there, or to stdout. */
export async function deliverStream(
  args: Arguments,
  chunks: AsyncIterable<Uint8Array>,
  data: Data,
): Promise<Result> {
  let bytes = 0;
  const write = async (fd: number): Promise<void> => {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      writeAll(fd, chunk);
    }
  };
  const out = outputOf(args);
  if (out === undefined) {
    await write(1);
    return {};
  }
  await writeFileWhole(out, write);
  return { data: { ...data, out, bytes } };
}
