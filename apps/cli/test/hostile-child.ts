/**
 * A command under lango run that prints its secrets in every form of docs/masking.md, a line each, on both streams: `name|form`.
 * Its one word says how the forms are cut: `whole`, `slow` with pauses between their pieces, or `colours` between their bytes.
 */
import { writeSync } from "node:fs";

const [, , cut = "whole"] = process.argv;
const { ODD = "", LINES = "", LEAVES = "" } = process.env;

const hex4 = (unit: number): string => unit.toString(16).padStart(4, "0");
const units = (text: string, write: (unit: number) => string): string =>
  Array.from({ length: text.length }, (_, n) => write(text.charCodeAt(n))).join("");
const bytes = (text: string, write: (hex: string) => string): string =>
  Buffer.from(text).toString("hex").replace(/../g, write);
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const inLines = (text: string, length: number): string =>
  text.match(new RegExp(`.{1,${length}}`, "g"))?.join("\n") ?? "";
const json = (text: string): string => JSON.stringify(text).slice(1, -1);

const forms = (text: string): Record<string, string | Buffer> => ({
  raw: text,
  "raw, in capitals": text.replace(/[a-z]/g, (char) => char.toUpperCase()),
  base64: base64(text),
  "base64, a byte in": base64(`:${text}`),
  "base64, two bytes in": base64(`::${text}`),
  "base64 of HTTP Basic": base64(`user:${text}`),
  base64url: Buffer.from(text).toString("base64url"),
  "base64url, two bytes in": Buffer.from(`{"${text}`).toString("base64url"),
  hex: Buffer.from(text).toString("hex"),
  "hex, in capitals": Buffer.from(text).toString("hex").toUpperCase(),
  "hex, escaped": bytes(text, (hex) => `\\x${hex}`),
  "percent, minimal": encodeURI(text),
  "percent, component": encodeURIComponent(text),
  "percent, of a form": new URLSearchParams({ k: text }).toString().slice(2),
  "percent, all": bytes(text, (hex) => `%${hex.toUpperCase()}`),
  json: json(text),
  "json, escaped slashes": json(text).replaceAll("/", "\\/"),
  "json, in ASCII": json(text).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${hex4(char.charCodeAt(0))}`,
  ),
  "unicode escapes": units(text, (unit) => `\\u${hex4(unit)}`),
  "html, entities": text.replace(
    /[&<>"']/g,
    (char) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[char] ?? "",
  ),
  "html, decimal": [...text].map((char) => `&#${char.codePointAt(0)};`).join(""),
  "html, hexadecimal": [...text].map((char) => `&#x${char.codePointAt(0)?.toString(16)};`).join(""),
  "shell, single quotes": text.replaceAll("'", "'\\''"),
  "shell, shlex": text.replaceAll("'", `'"'"'`),
  "shell, double quotes": text.replace(/[$`"\\]/g, "\\$&"),
  "shell, %q": text.replace(/[^\w@%+=:,./\n\u0080-\uffff-]/g, "\\$&"),
  "utf-16le": Buffer.from(text, "utf16le"),
  "utf-16be": Buffer.from(text, "utf16le").swap16(),
  "quoted-printable": bytes(text, (hex) => `=${hex.toUpperCase()}`),
  "quoted-printable, minimal": Buffer.from(text)
    .toString("latin1")
    .replace(
      /[^\x20-<>-~]/g,
      (char) => `=${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
    ),
});

const pause = (ms: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
};

/** Where a form is cut: in four, or between all bytes; one that is broken into lines, before each line. */
function piecesOf(form: Buffer, isInLines: boolean): Buffer[] {
  if (cut === "colours" && isInLines) {
    return form
      .toString("latin1")
      .split(/(?<=\n)/)
      .map((line) => Buffer.from(line, "latin1"));
  }
  const size = cut === "slow" ? Math.ceil(form.length / 4) : 1;
  const pieces: Buffer[] = [];
  for (let at = 0; at < form.length; at += size) pieces.push(form.subarray(at, at + size));
  return pieces;
}

function write(fd: number, form: Buffer, isInLines: boolean): void {
  if (cut === "whole") {
    writeSync(fd, form);
    return;
  }
  const pieces = piecesOf(form, isInLines);
  if (cut === "slow") {
    for (const piece of pieces) {
      writeSync(fd, piece);
      pause(5);
    }
    return;
  }
  const colour = (n: number) => Buffer.from(n === 0 ? "" : `\u001b[3${n % 8}m`);
  writeSync(fd, Buffer.concat(pieces.flatMap((piece, n) => [colour(n), piece])));
}

const all: [string, string | Buffer][] = Object.entries(forms(ODD));
const [, line = ""] = LINES.split("\n");
const { client } = JSON.parse(LEAVES) as { client: { secret: string } };
for (const [what, text] of [
  ["a line", line],
  ["a leaf", client.secret],
] as const) {
  for (const name of ["raw", "base64", "hex", "percent, all"] as const) {
    all.push([`${what}, ${name}`, forms(text)[name] ?? ""]);
  }
}
all.push(["base64 in lines", inLines(base64(LINES.repeat(2)), 76)]);
all.push(["hex in lines", inLines(Buffer.from(LINES).toString("hex"), 60)]);

for (const [name, form] of all) {
  for (const fd of [1, 2]) {
    writeSync(fd, `${name}|<`);
    write(fd, Buffer.from(form), name.endsWith("in lines"));
    writeSync(fd, ">\n");
  }
}
