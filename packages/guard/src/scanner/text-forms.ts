import type { ByteForm, Encoder } from "./byte-forms.ts";
import { ByteSink } from "./byte-sink.ts";

/** Writes one character in another way and says so, or leaves it to be copied. */
type Escape = (codePoint: number, out: ByteSink) => boolean;

/** Calls `visit` for each character of valid UTF-8. Byte by byte: a string of the secret could never be zeroed. */
const eachCharacter = (
  value: Uint8Array,
  visit: (codePoint: number, from: number, to: number) => void,
): void => {
  for (let at = 0; at < value.length; ) {
    const lead = value[at]!;
    const size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    let codePoint = size === 1 ? lead : lead & (0x7f >> size);
    for (let i = 1; i < size; i++) codePoint = (codePoint << 6) | (value[at + i]! & 0x3f);
    visit(codePoint, at, at + size);
    at += size;
  }
};

const escaping = (rewrite: Escape): Required<Omit<ByteForm, "form">> => ({
  encode: (value, out) =>
    eachCharacter(value, (codePoint, from, to) => {
      if (!rewrite(codePoint, out)) out.slice(value, from, to);
    }),
  // Which of the other characters are changed is not known by one byte.
  changes: (byte) => byte >= 0x80 || rewrite(byte, new ByteSink()),
});

/** The one or two UTF-16 code units of a character. */
const eachUnit = (codePoint: number, visit: (unit: number) => void): void => {
  if (codePoint < 0x10000) visit(codePoint);
  else {
    visit(0xd800 + ((codePoint - 0x10000) >> 10));
    visit(0xdc00 + ((codePoint - 0x10000) & 0x3ff));
  }
};

const unicodeEscape = (codePoint: number, out: ByteSink): true => {
  eachUnit(codePoint, (unit) => {
    out.text("\\u");
    out.hex(unit, 4);
  });
  return true;
};

/** Writes the replacement of a character, if the table has one. */
const fromTable =
  (table: Readonly<Record<string, string>>): Escape =>
  (codePoint, out) => {
    const replacement = codePoint < 0x80 ? table[String.fromCharCode(codePoint)] : undefined;
    if (replacement === undefined) return false;
    out.text(replacement);
    return true;
  };

// RFC 8259 §7.
const jsonShort = fromTable({
  '"': '\\"',
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
});
const json =
  (also: (codePoint: number) => boolean, slash = false): Escape =>
  (codePoint, out) => {
    if (slash && codePoint === 0x2f) {
      out.text("\\/");
      return true;
    }
    if (jsonShort(codePoint, out)) return true;
    return (codePoint < 0x20 || also(codePoint)) && unicodeEscape(codePoint, out);
  };
const isBeyondAscii = (codePoint: number) => codePoint > 0x7e;
/** What encoders escape so that JSON may stand in an HTML page: `<`, `>`, `&` and the two line separators. */
const isHtmlUnsafe = (codePoint: number) =>
  codePoint === 0x3c ||
  codePoint === 0x3e ||
  codePoint === 0x26 ||
  codePoint === 0x2028 ||
  codePoint === 0x2029;

const htmlNumber =
  (open: string, radix: 10 | 16): Escape =>
  (codePoint, out) => {
    out.text(`${open}${codePoint.toString(radix)};`);
    return true;
  };
const html = (quote: string, apostrophe: string | undefined, beyondAscii?: Escape): Escape => {
  const table: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': quote };
  if (apostrophe !== undefined) table["'"] = apostrophe;
  const short = fromTable(table);
  return (codePoint, out) =>
    short(codePoint, out) || (codePoint > 0x7f && (beyondAscii?.(codePoint, out) ?? false));
};

const backslash =
  (special: (char: string) => boolean): Escape =>
  (codePoint, out) => {
    if (codePoint >= 0x80 || !special(String.fromCharCode(codePoint))) return false;
    out.byte(0x5c);
    out.byte(codePoint);
    return true;
  };
const isSpecialInDoubleQuotes = (char: string) => '$`"\\'.includes(char);
const isSpecialInShell = (char: string) => /[^\w@%+=:,./\n-]/.test(char);

const utf16 =
  (littleEndian: boolean): Encoder =>
  (value, out) =>
    eachCharacter(value, (codePoint) =>
      eachUnit(codePoint, (unit) => {
        out.byte(littleEndian ? unit & 0xff : unit >> 8);
        out.byte(littleEndian ? unit >> 8 : unit & 0xff);
      }),
    );

/** The forms that are made character by character: only for values that are UTF-8. */
export const TEXT_FORMS: readonly ByteForm[] = [
  { form: "json", ...escaping(json(() => false)) },
  { form: "json", ...escaping(json(() => false, true)) },
  { form: "json", ...escaping(json(isBeyondAscii)) },
  { form: "json", ...escaping(json(isBeyondAscii, true)) },
  { form: "json", ...escaping(json(isHtmlUnsafe)) },
  { form: "unicode-escape", ...escaping(unicodeEscape) },
  { form: "html", ...escaping(html("&quot;", undefined)) },
  { form: "html", ...escaping(html("&quot;", "&#39;")) },
  { form: "html", ...escaping(html("&quot;", "&#x27;")) },
  { form: "html", ...escaping(html("&quot;", "&#039;")) },
  { form: "html", ...escaping(html("&quot;", "&apos;")) },
  { form: "html", ...escaping(html("&#34;", "&#39;")) },
  { form: "html", ...escaping(html('"', undefined)) },
  { form: "html", ...escaping(html("&quot;", "&#39;", htmlNumber("&#", 10))) },
  { form: "html", ...escaping(htmlNumber("&#", 10)) },
  { form: "html", ...escaping(htmlNumber("&#x", 16)) },
  { form: "shell", ...escaping(fromTable({ "'": "'\\''" })) },
  { form: "shell", ...escaping(fromTable({ "'": `'"'"'` })) },
  { form: "shell", ...escaping(backslash(isSpecialInDoubleQuotes)) },
  { form: "shell", ...escaping(backslash(isSpecialInShell)) },
  {
    form: "shell",
    ...escaping(fromTable({ "'": "\\'", "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r" })),
  },
  { form: "utf-16le", encode: utf16(true) },
  { form: "utf-16be", encode: utf16(false) },
];
