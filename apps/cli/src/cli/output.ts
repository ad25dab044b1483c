import { writeSync } from "node:fs";
import { fileError } from "@lango/envelope";

/**
 * Writes everything to a file descriptor before it returns. `process.stdout` is not used: loading it costs a tenth of
 * the start-up time, and its pending writes are lost on exit.
 *
 * @throws The error of the system; `EPIPE` when the reader has gone. For standard output, every other one as a CryptoError.
 */
export function writeAll(fd: number, data: string | Uint8Array): void {
  let rest = typeof data === "string" ? Buffer.from(data) : data;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EAGAIN") {
        throw fd === 1 && code !== "EPIPE"
          ? fileError("write", "to standard output", error)
          : error;
      }
      // A pipe that somebody else set to non-blocking is full: wait a moment for its reader.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

/** Writes a line for people to stderr. A stderr that is gone is no reason to fail. */
export function writeNote(line: string): void {
  try {
    writeAll(2, `${line}\n`);
  } catch {}
}

/** `1 file`, `2 files`. */
export const counted = (count: number, what: string): string =>
  `${count} ${what}${count === 1 ? "" : "s"}`;

/** The one document of `--json`. */
export function writeJson(document: Readonly<Record<string, unknown>>): void {
  writeAll(1, `${JSON.stringify({ schemaVersion: 1, ...document })}\n`);
}

// C0 and C1 controls, and the characters that turn the direction of text: they could rewrite what a person reads.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Makes text from elsewhere safe to show on a terminal, on one line. */
export const printable = (text: string): string =>
  text.replace(UNPRINTABLE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** Rows as aligned columns under headings; `""` when there are none. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) {
    return "";
  }
  const lines = [headings, ...rows.map((row) => row.map(printable))];
  const widths = headings.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  return lines
    .map((line) =>
      line
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** `name  value` lines, the names padded to one width. */
export function facts(entries: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`).join("\n");
}

/** A time in milliseconds as UTC to the second, or `-` for none. */
export const when = (ms: number | undefined): string =>
  ms === undefined ? "-" : `${new Date(ms).toISOString().slice(0, 19)}Z`;
