import type { ByteSink } from "./byte-sink.ts";
import type { FormName } from "./types.ts";

/** Writes a value in one form. */
export type Encoder = (value: Uint8Array, out: ByteSink) => void;

export interface ByteForm {
  readonly form: FormName;
  readonly encode: Encoder;
  /**
   * Whether a value with this byte in it may look different in this form. A value without such a byte is written as it is,
   * which most forms do with most values. Absent: every value looks different.
   */
  readonly changes?: (byte: number) => boolean;
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64URL = `${BASE64.slice(0, 62)}-_`;

/**
 * The characters of base64 that only the value decides when `before` bytes of something else (modulo 3) stand in front of
 * it. The characters at the edges hold bits of the neighbours too and are left out.
 */
const base64 =
  (alphabet: string, before: 0 | 1 | 2): Encoder =>
  (value, out) => {
    const first = Math.ceil((before * 8) / 6);
    const end = Math.floor(((before + value.length) * 8) / 6);
    for (let i = first; i < end; i++) {
      const bit = i * 6 - before * 8;
      const at = bit >> 3;
      const pair = (value[at]! << 8) | (value[at + 1] ?? 0);
      out.byte(alphabet.charCodeAt((pair >> (10 - (bit & 7))) & 63));
    }
  };

/** Every byte as `prefix` and two hexadecimal digits. */
const everyByte =
  (prefix: string): Encoder =>
  (value, out) => {
    for (const byte of value) {
      out.text(prefix);
      out.hex(byte, 2);
    }
  };

/** Every byte but those of `kept` as `prefix` and two hexadecimal digits. */
const otherBytes = (
  prefix: string,
  kept: ReadonlySet<number>,
  space?: string,
): Required<Omit<ByteForm, "form">> => ({
  encode(value, out) {
    for (const byte of value) {
      if (byte === 0x20 && space !== undefined) out.text(space);
      else if (kept.has(byte)) out.byte(byte);
      else {
        out.text(prefix);
        out.hex(byte, 2);
      }
    }
  },
  changes: (byte) => !kept.has(byte),
});

const codes = (ascii: string): number[] => [...ascii].map((char) => char.charCodeAt(0));
const ALPHANUMERIC = codes(BASE64.slice(0, 62));
const PRINTABLE = Array.from({ length: 94 }, (_, i) => 0x21 + i);

/** RFC 3986 §2.3: what is never encoded. */
const UNRESERVED = new Set([...ALPHANUMERIC, ...codes("-._~")]);
/** What `encodeURIComponent` of ECMA-262 keeps. */
const COMPONENT = new Set([...UNRESERVED, ...codes("!*'()")]);
/** What `encodeURI` keeps: also what separates the parts of a URI. */
const WHOLE_URI = new Set([...COMPONENT, ...codes(";/?:@&=+$,#")]);
/** What `application/x-www-form-urlencoded` keeps; a space becomes a plus sign. */
const FORM = new Set([...ALPHANUMERIC, ...codes("*-._")]);
/** What Python's `quote` keeps in a path. */
const PATH = new Set([...UNRESERVED, ...codes("/")]);
/** RFC 2045 §6.7: printable bytes but the equals sign; spaces and tabs inside a line. */
const QUOTED_PRINTABLE = new Set(
  [...PRINTABLE, 0x20, 0x09].filter((byte) => byte !== "=".charCodeAt(0)),
);
const WITH_LINE_BREAKS = new Set([...QUOTED_PRINTABLE, 0x0d, 0x0a]);

/** The forms that are made byte by byte, whatever the value is. */
export const BYTE_FORMS: readonly ByteForm[] = [
  { form: "raw", encode: (value, out) => out.slice(value, 0, value.length) },
  { form: "base64", encode: base64(BASE64, 0) },
  { form: "base64", encode: base64(BASE64, 1) },
  { form: "base64", encode: base64(BASE64, 2) },
  { form: "base64url", encode: base64(BASE64URL, 0) },
  { form: "base64url", encode: base64(BASE64URL, 1) },
  { form: "base64url", encode: base64(BASE64URL, 2) },
  { form: "hex", encode: everyByte("") },
  { form: "hex-escape", encode: everyByte("\\x") },
  { form: "percent", encode: everyByte("%") },
  { form: "percent", ...otherBytes("%", UNRESERVED) },
  { form: "percent", ...otherBytes("%", COMPONENT) },
  { form: "percent", ...otherBytes("%", WHOLE_URI) },
  { form: "percent", ...otherBytes("%", FORM, "+") },
  { form: "percent", ...otherBytes("%", PATH) },
  { form: "quoted-printable", encode: everyByte("=") },
  { form: "quoted-printable", ...otherBytes("=", QUOTED_PRINTABLE) },
  { form: "quoted-printable", ...otherBytes("=", WITH_LINE_BREAKS) },
];
