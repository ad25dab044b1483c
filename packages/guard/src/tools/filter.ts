import { isUtf8 } from "node:buffer";
import { CryptoError, concat, utf8 } from "@lango/crypto-core";
import { detectIn, type PiiDetector } from "../pii/detector.ts";
import type { PiiRedactor } from "../pii/redactor.ts";
import type { Scanner } from "../scanner/scanner.ts";
import type { MaskOptions } from "../scanner/types.ts";
import { bytesOfAny, textOf, textOfAny } from "./any-text.ts";
import { createLines } from "./lines.ts";

export interface FilterParts {
  readonly scanner: Scanner;
  /** Absent: personal data is let through. */
  readonly redactor?: PiiRedactor | undefined;
  /** Looks at what goes out after everything else did. */
  readonly detector?: PiiDetector | undefined;
  /** The last to see a whole text; see `cleanAndDetect`. */
  readonly last?: ((text: string) => string) | undefined;
  readonly onFinding?: MaskOptions["onFinding"];
}

/** Takes a stream of bytes apart and gives what may go on. */
export interface ByteFilter {
  write(chunk: Uint8Array): Uint8Array;
  /** Gives what was held back. */
  end(): Uint8Array;
}

/** A lone surrogate has no bytes; in what is only searched a replacement does. */
const bytesOf = (text: string): Uint8Array => utf8(text.toWellFormed());

/** Masks a whole text. */
export const filterText = (parts: FilterParts, text: string): string => {
  const { scanner, onFinding } = parts;
  const { output, findings } = scanner.scan(bytesOf(text));
  for (const finding of findings) onFinding?.(finding);
  return redactText(parts, findings.length === 0 ? text : textOf(output));
};

const redactText = ({ redactor, last }: FilterParts, masked: string): string => {
  const redacted = redactor === undefined ? masked : redactor.redact(masked).text;
  return last === undefined ? redacted : last(redacted);
};

/** Masks bytes that are there as a whole. Never the given memory itself. */
export const filterBytes = (parts: FilterParts, bytes: Uint8Array): Uint8Array<ArrayBuffer> => {
  const { scanner, redactor, last, onFinding } = parts;
  const { output, findings } = scanner.scan(bytes);
  for (const finding of findings) onFinding?.(finding);
  if (redactor === undefined && last === undefined) return new Uint8Array(output);
  return redactBytes(parts, output);
};

/**
 * Masks a stream. What may be the beginning of a secret is held back until more comes; with a redactor or a detector, so is each
 * line until its end, as personal data is found in whole lines only. The detector itself is left to `detectBytes`.
 */
export const createByteFilter = (parts: FilterParts): ByteFilter => {
  const { scanner, redactor, detector, onFinding } = parts;
  const masker = scanner.createMasker(onFinding === undefined ? {} : { onFinding });
  if (redactor === undefined && detector === undefined) {
    return {
      write: (chunk) => concat(...masker.write(chunk)),
      end: () => concat(...masker.end()),
    };
  }
  const lines = createLines();
  const redact = (whole: Uint8Array): Uint8Array => redactBytes({ scanner, redactor }, whole);
  return {
    write: (chunk) => redact(lines.push(concat(...masker.write(chunk)))),
    end: () => concat(redact(lines.push(concat(...masker.end()))), redact(lines.end())),
  };
};

/** Masks a stream of text. */
export interface TextFilter {
  write(text: string): string;
  end(): string;
}

export const createTextFilter = (parts: FilterParts): TextFilter => {
  const filter = createByteFilter(parts);
  const encoder = createEncoder();
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return {
    write: (text) => decoder.decode(filter.write(encoder.write(text)), { stream: true }),
    end: () => decoder.decode(concat(filter.write(encoder.end()), filter.end())),
  };
};

/** Encodes text that comes in chunks: the two halves of a character may come in two of them. */
export const createEncoder = (): { write(text: string): Uint8Array; end(): Uint8Array } => {
  let half = "";
  return {
    write(text) {
      if (typeof text !== "string") {
        throw new CryptoError("ERR_INVALID_ARGUMENT", "A chunk of text is not a string");
      }
      const all = half + text;
      half = /[\ud800-\udbff]$/.test(all) ? all.slice(-1) : "";
      return bytesOf(half === "" ? all : all.slice(0, -1));
    },
    end: () => bytesOf(half),
  };
};

/** Personal data is found beside bytes that are no text as well. Never the given memory itself. */
const redactBytes = (
  { redactor, last, ...parts }: FilterParts,
  bytes: Uint8Array,
): Uint8Array<ArrayBuffer> => {
  const text = textOfAny(bytes);
  const redacted = redactText({ ...parts, redactor, last: isText(bytes) ? last : undefined }, text);
  return redacted === text ? new Uint8Array(bytes) : bytesOfAny(redacted);
};

/** Whether a detector can make anything of it. A few bytes that are no UTF-8 do not make an image. */
const isText = (bytes: Uint8Array): boolean => isUtf8(bytes) || !bytes.includes(0);

/** A text with what the detector finds in it replaced. */
export const detectText = async (
  { detector }: FilterParts,
  text: string,
  signal?: AbortSignal | undefined,
): Promise<string> => {
  if (detector === undefined || text === "") return text;
  return (await detectIn(detector, [text], signal)).get(text) ?? text;
};

/** The same of what has come out of a {@link ByteFilter}. */
export const detectBytes = async (
  parts: FilterParts,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> => {
  if (parts.detector === undefined || !isText(bytes)) return bytes;
  const text = textOfAny(bytes);
  const redacted = await detectText(parts, text, signal);
  return redacted === text ? bytes : bytesOfAny(redacted);
};
