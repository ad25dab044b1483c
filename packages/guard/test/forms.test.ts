import querystring from "node:querystring";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createScanner, type FormName } from "../src/index.ts";

// Each form by an encoder that is not ours, so that a form means what others mean by it.

const utf16be = (value: string) => Buffer.from(value, "utf16le").swap16();
const eachUnit = (value: string, write: (unit: number) => string) =>
  Array.from({ length: value.length }, (_, i) => write(value.charCodeAt(i))).join("");
const eachByte = (value: string, write: (hex: string) => string) =>
  Buffer.from(value).toString("hex").replace(/../g, write);
const hex4 = (unit: number) => unit.toString(16).padStart(4, "0");

const ENCODERS: readonly [FormName, string, (value: string) => string | Buffer][] = [
  ["raw", "as it is", (value) => value],
  ["raw", "in capitals", (value) => value.replace(/[a-z]/g, (char) => char.toUpperCase())],
  ["hex", "lower case", (value) => Buffer.from(value).toString("hex")],
  ["hex", "upper case", (value) => Buffer.from(value).toString("hex").toUpperCase()],
  ["hex", "mixed case", (value) => eachByte(value, (hex) => hex[0]!.toUpperCase() + hex[1]!)],
  ["hex-escape", "C, Python", (value) => eachByte(value, (hex) => `\\x${hex}`)],
  ["percent", "every byte", (value) => eachByte(value, (hex) => `%${hex.toUpperCase()}`)],
  ["percent", "every byte, lower case", (value) => eachByte(value, (hex) => `%${hex}`)],
  ["percent", "encodeURIComponent", encodeURIComponent],
  ["percent", "encodeURI", encodeURI],
  ["percent", "URLSearchParams", (value) => new URLSearchParams({ k: value }).toString().slice(2)],
  ["percent", "node:querystring", (value) => querystring.escape(value)],
  ["json", "JSON.stringify", (value) => JSON.stringify(value).slice(1, -1)],
  [
    "json",
    "with escaped slashes",
    (value) => JSON.stringify(value).slice(1, -1).replaceAll("/", "\\/"),
  ],
  [
    "json",
    "in ASCII",
    (value) =>
      JSON.stringify(value)
        .slice(1, -1)
        .replace(/[\u007f-\uffff]/g, (unit) => `\\u${hex4(unit.charCodeAt(0))}`),
  ],
  [
    "json",
    "safe in HTML",
    (value) =>
      JSON.stringify(value)
        .slice(1, -1)
        .replace(/[<>&]/g, (unit) => `\\u${hex4(unit.charCodeAt(0))}`),
  ],
  ["unicode-escape", "every unit", (value) => eachUnit(value, (unit) => `\\u${hex4(unit)}`)],
  [
    "unicode-escape",
    "upper case",
    (value) => eachUnit(value, (unit) => `\\u${hex4(unit).toUpperCase()}`),
  ],
  [
    "html",
    "five entities",
    (value) =>
      value
        .replaceAll("&", "&amp;")
        .replaceAll("<", "&lt;")
        .replaceAll(">", "&gt;")
        .replaceAll('"', "&quot;")
        .replaceAll("'", "&#39;"),
  ],
  ["html", "decimal", (value) => [...value].map((char) => `&#${char.codePointAt(0)};`).join("")],
  [
    "html",
    "hexadecimal",
    (value) => [...value].map((char) => `&#x${char.codePointAt(0)!.toString(16)};`).join(""),
  ],
  ["shell", "single quotes", (value) => value.replaceAll("'", "'\\''")],
  ["shell", "Python's shlex", (value) => value.replaceAll("'", `'"'"'`)],
  ["shell", "double quotes", (value) => value.replace(/[$`"\\]/g, "\\$&")],
  ["shell", "printf %q", (value) => value.replace(/[^\w@%+=:,./\n\u0080-\uffff-]/g, "\\$&")],
  ["utf-16le", "PowerShell", (value) => Buffer.from(value, "utf16le")],
  ["utf-16be", "Java", utf16be],
  ["quoted-printable", "every byte", (value) => eachByte(value, (hex) => `=${hex.toUpperCase()}`)],
  [
    "quoted-printable",
    "what must be",
    (value) =>
      Buffer.from(value)
        .toString("latin1")
        .replace(
          /[^\t\n\r !-<>-~]/g,
          (char) => `=${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
        ),
  ],
];

const NASTY = `p@ss "w<ö>rd" & 'q$uo'te\\/100%=~!\`€😀+\n\ttail`;
const scannerFor = (value: string | Uint8Array, name = "k") =>
  createScanner({ secrets: [{ name, value: Buffer.from(value) }] });

describe("forms", () => {
  it.each(ENCODERS)("%s, %s", async (form, _title, encode) => {
    const values = fc.string({ unit: "grapheme", minLength: 6, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(fc.oneof(values, fc.constant(NASTY)), async (value) => {
        fc.pre(value.isWellFormed() && new Set(value).size > 2);
        using scanner = await scannerFor(value);
        fc.pre(scanner.secretCount === 1);
        const written = Buffer.from(encode(value));
        const { output, findings } = scanner.scan(
          Buffer.concat([Buffer.from("a "), written, Buffer.from(" z")]),
        );
        expect(Buffer.from(output).toString()).toBe("a [SECRET:k] z");
        expect(findings).toHaveLength(1);
      }),
      { numRuns: 30 },
    );
    // A value that every form writes in a way of its own is found under that form's name.
    using scanner = await scannerFor(NASTY);
    const alike: readonly FormName[] = ["percent", "json", "html", "shell"];
    const found = scanner.scan(Buffer.from(encode(NASTY))).findings.map((each) => each.form);
    if (!alike.includes(form)) expect(found).toEqual([form]);
  });

  it.each(["base64", "base64url"] as const)(
    "%s, wherever the value stands in the bytes",
    async (form) => {
      await fc.assert(
        fc.asyncProperty(
          fc.uint8Array({ minLength: 7, maxLength: 60 }),
          fc.uint8Array({ maxLength: 9 }),
          fc.uint8Array({ maxLength: 9 }),
          async (value, before, after) => {
            using scanner = await scannerFor(value);
            fc.pre(scanner.secretCount === 1);
            const encoded = Buffer.concat([before, value, after]).toString(form);
            const masked = Buffer.from(scanner.scan(Buffer.from(encoded)).output).toString();
            expect(masked).toContain("[SECRET:k]");
            // At each side at most one character that also holds bits of the value.
            const kept = masked.replace("[SECRET:k]", "").replace(/=+$/, "").length;
            expect(kept).toBeLessThanOrEqual(
              Math.ceil(((before.length + after.length) * 8) / 6) + 2,
            );
          },
        ),
        { numRuns: 300 },
      );
    },
  );
});

describe("parts of a structured value", () => {
  const masked = async (value: string, text: string) => {
    using scanner = await scannerFor(value);
    return Buffer.from(scanner.scan(Buffer.from(text)).output).toString();
  };

  it("are the lines, but not those that every such file has", async () => {
    const line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj";
    const pem = `-----BEGIN PRIVATE KEY-----\n${line}\nAgEAAoIBAQC7VJTUt9Us8cKj\n-----END PRIVATE KEY-----\n`;
    expect(await masked(pem, `-----BEGIN PRIVATE KEY-----|${line}|`)).toBe(
      "-----BEGIN PRIVATE KEY-----|[SECRET:k]|",
    );
    expect(await masked(pem, `> ${pem} <`)).toBe("> [SECRET:k] <");
    expect(await masked(pem, Buffer.from(line).toString("hex"))).toBe("[SECRET:k]");
  });

  it("are the leaves of JSON, but not addresses and words", async () => {
    const json = JSON.stringify({
      type: "service_account",
      deep: [{ private_key: "line one of it\nline two of it", id: 1234567890123 }],
      token_uri: "https://oauth2.example.com/token",
      hook: "https://hooks.example.com/?token=abc",
    });
    expect(await masked(json, "service_account https://oauth2.example.com/token")).toBe(
      "service_account https://oauth2.example.com/token",
    );
    expect(
      await masked(json, "<line two of it> <1234567890123> <line one of it\nline two of it>"),
    ).toBe("<[SECRET:k]> <[SECRET:k]> <[SECRET:k]>");
    expect(await masked(json, "https://hooks.example.com/?token=abc")).toBe("[SECRET:k]");
  });

  it("are the value without the line break at its end", async () => {
    expect(await masked("abc-123\n", "key=abc-123;")).toBe("key=[SECRET:k];");
  });

  it("are pieces of a long value, which meet in every form", async () => {
    const value = Array.from({ length: 900 }, (_, i) => `ü${i}`).join(",");
    for (const write of [
      (text: string) => text,
      (text: string) => Buffer.from(text).toString("hex"),
      (text: string) => JSON.stringify(text).slice(1, -1),
      (text: string) => eachUnit(text, (unit) => `\\u${hex4(unit)}`),
      (text: string) => [...text].map((char) => `&#${char.codePointAt(0)};`).join(""),
    ]) {
      expect(await masked(value, `> ${write(value)} <`)).toBe("> [SECRET:k] <");
    }
    const base64 = Buffer.from(value).toString("base64");
    expect(await masked(value, `> ${base64} <`)).toMatch(/^> \[SECRET:k\].{0,3} <$/);
  });
});
