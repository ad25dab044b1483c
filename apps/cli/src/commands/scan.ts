import { isCryptoError } from "@lango/crypto-core";
import type { Scanner } from "@lango/guard";
import { type Arguments, usageError } from "../cli/arguments.ts";
import { isTerminal } from "../cli/color.ts";
import type { Handler } from "../cli/command.ts";
import type { Context } from "../cli/context.ts";
import { readChunks } from "../cli/files.ts";
import { counted, printable, writeAll } from "../cli/output.ts";
import { withVault } from "../cli/vault.ts";
import { findFiles } from "../scan/find-files.ts";
import { loadScanner } from "../scan/load-scanner.ts";
import { toSarif } from "../scan/sarif.ts";
import { type FilePlace, scanStream } from "../scan/scan-stream.ts";
import { transcriptPaths } from "../scan/transcripts.ts";

const STDIN = "-";
const EXIT_FINDINGS = 10;

/** Looks for the vault's secrets in files, in any of their forms. */
export const run: Handler = async (context, args) => {
  const paths = wantedPaths(context, args);
  const format = context.json ? "json" : (args.string("format") ?? "text");
  const stdinFree = !paths.includes(STDIN);
  // The vault is closed before the first file is opened.
  using scanner = await withVault(context, args, { stdinFree }, (vault) =>
    loadScanner(context, vault),
  );
  const { places, files, bytes } = await scanPaths(context, scanner, paths);
  const data = { files, bytes, findings: places.map(tell) };
  const exit = places.length > 0 ? EXIT_FINDINGS : 0;
  if (format === "sarif") {
    writeAll(1, `${JSON.stringify(toSarif(places))}\n`);
    return { exit };
  }
  if (format === "json" && !context.json) {
    writeAll(1, `${JSON.stringify({ schemaVersion: 1, ok: true, data })}\n`);
    return { exit };
  }
  const summary = `${counted(places.length, "place")} in ${counted(files, "file")}, ${counted(bytes, "byte")}`;
  context.note(summary);
  const lines = places.map(
    ({ path, line, name, form }) => `${printable(path)}:${line}: ${name} (${form})`,
  );
  return { data, text: lines.join("\n"), exit };
};

function wantedPaths(context: Context, args: Arguments): string[] {
  const named = args.words;
  const transcripts = args.flag("transcripts") ? transcriptPaths(context.env) : [];
  if (named.length === 0 && !args.flag("transcripts")) {
    throw usageError(
      '"lango scan" needs a PATH',
      "Name files and folders, - for standard input, or --transcripts",
    );
  }
  return [...named, ...transcripts];
}

const tell = ({ path, line, offset, length, name, form }: FilePlace) => ({
  ...{ path, line, offset, length },
  ...{ secret: name, form },
});

interface Scanned {
  readonly places: readonly FilePlace[];
  readonly files: number;
  readonly bytes: number;
}

async function scanPaths(
  context: Context,
  scanner: Scanner,
  paths: readonly string[],
): Promise<Scanned> {
  const progress = new Progress(context);
  const places: FilePlace[] = [];
  const scan = async (path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> => {
    for (const place of await scanStream(scanner, chunks, (count) => progress.add(count))) {
      places.push({ ...place, path });
    }
    progress.files += 1;
  };
  if (paths.includes(STDIN)) await scan(STDIN, readChunks(undefined));
  for await (const path of findFiles(paths.filter((each) => each !== STDIN))) {
    try {
      await scan(path, readChunks(path));
    } catch (error) {
      // One of many below a folder that this user may not read: said, and the others are looked at.
      if (!isCryptoError(error) || error.code !== "ERR_ACCESS_DENIED" || paths.includes(path)) {
        throw error;
      }
      context.warn(`not scanned: ${error.message}`);
    }
  }
  progress.end();
  return { places, files: progress.files, bytes: progress.bytes };
}

const EVERY_MS = 500;

/** One line on a terminal that says how far it is. */
class Progress {
  files = 0;
  bytes = 0;
  readonly #isShown: boolean;
  #last: number = performance.now();
  #isWritten = false;

  constructor({ json, env }: Context) {
    this.#isShown = !json && env["TERM"] !== "dumb" && isTerminal(2);
  }

  add(bytes: number): void {
    this.bytes += bytes;
    if (!this.#isShown || performance.now() - this.#last < EVERY_MS) return;
    this.#last = performance.now();
    this.#isWritten = true;
    const mebibytes = Math.floor(this.bytes / 2 ** 20);
    writeAll(2, `\r\u001b[2K${counted(this.files, "file")}, ${mebibytes} MiB`);
  }

  end(): void {
    if (this.#isWritten) writeAll(2, "\r\u001b[2K");
  }
}
