import { isUtf8 } from "node:buffer";
import { type Bytes, toPlain, utf8 } from "@lango/crypto-core";

/**
 * Bytes as a text, whatever they are: where they are no UTF-8, each byte becomes a lone surrogate, U+DC80 to U+DCFF, as in
 * Python's PEP 383. So what is text among them can be searched, and all of them come back.
 */
export const textOfAny = (bytes: Uint8Array): string =>
  isUtf8(bytes)
    ? textOf(bytes)
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
        .toString("latin1")
        .replace(/[\x80-\xff]+/g, textOfRun);

/** The inverse of {@link textOfAny}. */
export const bytesOfAny = (text: string): Bytes =>
  text.isWellFormed()
    ? utf8(text)
    : toPlain(
        Buffer.concat(
          text
            .split(/([\udc80-\udcff]+)/u)
            .map((part, i) => (i % 2 === 0 ? utf8(part) : Uint8Array.from(part, byteOfEscape))),
        ),
      );

/** UTF-8 as a text. */
export const textOf = (bytes: Uint8Array): string =>
  new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

const ESCAPE = 0xdc00;

const textOfRun = (run: string): string => {
  const bytes = Buffer.from(run, "latin1");
  if (isUtf8(bytes)) return bytes.toString();
  return run.replace(/./gs, (byte) => String.fromCharCode(ESCAPE + byte.charCodeAt(0)));
};

const byteOfEscape = (surrogate: string): number => surrogate.charCodeAt(0) - ESCAPE;
