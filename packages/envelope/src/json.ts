import { CryptoError } from "@lango/crypto-core";

/** What JSON can say. Objects from {@link parseJsonStrict} have no prototype, so `__proto__` is a key like any other. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** Longest path in a message, in characters. */
const MAX_SHOWN_PATH = 256;

/** Deeper input is refused: it would only serve to exhaust the stack. */
const MAX_DEPTH = 32;

/**
 * Writes JSON in its one canonical form (JCS, RFC 8785): no white space, keys sorted by UTF-16 code units, numbers and
 * strings as ECMAScript writes them.
 *
 * @param value - Members that are `undefined` are left out, as `JSON.stringify` does.
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for what JSON cannot say: NaN, infinities, lone surrogates,
 *   functions, `undefined` in an array or at the top.
 */
export const jcs = (value: JsonValue): string => {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number" && Number.isFinite(value)) return JSON.stringify(value);
  if (typeof value === "string") return quote(value);
  if (Array.isArray(value)) return `[${value.map((item: JsonValue) => jcs(item)).join()}]`;
  if (typeof value !== "object") {
    throw new CryptoError("ERR_INVALID_ARGUMENT", `JSON cannot hold ${String(value)}`);
  }
  // RFC 8785 §3.2.3 sorts by UTF-16 code units, which is what `sort` does.
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${quote(key)}:${jcs(member)}`);
  return `{${members.join()}}`;
};

const quote = (text: string): string => {
  if (!text.isWellFormed()) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", "JSON text has a lone surrogate");
  }
  return JSON.stringify(text);
};

/**
 * Parses JSON that must mean the same to every reader (I-JSON, RFC 7493): UTF-8 without byte order mark, no duplicate
 * key, no lone surrogate, at most 32 levels deep.
 *
 * @param options.maxBytes - Longer input is refused before it is looked at.
 * @returns The value; its objects have no prototype.
 * @throws {@link CryptoError} `ERR_MALFORMED_ENVELOPE` with the fault and its position, or the path of a duplicate key.
 */
export const parseJsonStrict = (
  input: string | Uint8Array,
  options: { readonly maxBytes: number },
): JsonValue => {
  const bytes = typeof input === "string" ? Buffer.byteLength(input) : input.length;
  if (bytes > options.maxBytes) {
    throw new CryptoError(
      "ERR_MALFORMED_ENVELOPE",
      `JSON has ${bytes} bytes, more than ${options.maxBytes}`,
    );
  }
  const parser: Parser = { text: typeof input === "string" ? input : decodeUtf8(input), at: 0 };
  const value = parseValue(parser, "", 0);
  skipSpace(parser);
  if (parser.at < parser.text.length) throw fault(parser, "text after the end");
  return value;
};

interface Parser {
  readonly text: string;
  at: number;
}

const decodeUtf8 = (bytes: Uint8Array): string => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new CryptoError("ERR_MALFORMED_ENVELOPE", "JSON is not valid UTF-8", { cause });
  }
};

const fault = (parser: Parser, what: string): CryptoError =>
  new CryptoError(
    "ERR_MALFORMED_ENVELOPE",
    parser.at >= parser.text.length
      ? `JSON ends too early, after ${parser.text.length} characters`
      : `JSON has ${what} at position ${parser.at}`,
  );

// RFC 8259 §2–7. Sticky expressions: each matches at the parser's place or not at all, in linear time.
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const LITERAL = /true|false|null/y;

const match = (parser: Parser, expression: RegExp): string | undefined => {
  expression.lastIndex = parser.at;
  const found = expression.exec(parser.text)?.[0];
  parser.at += found?.length ?? 0;
  return found;
};

const skipSpace = (parser: Parser): string | undefined => match(parser, SPACE);

// The path is only ever added to, which costs nothing however long its keys are, and read when there is a fault.
const parseValue = (parser: Parser, path: string, depth: number): JsonValue => {
  skipSpace(parser);
  const first = parser.text[parser.at];
  if (first === "{" || first === "[") {
    if (depth === MAX_DEPTH) throw fault(parser, "too many levels");
    return first === "{"
      ? parseObject(parser, path, depth + 1)
      : parseArray(parser, path, depth + 1);
  }
  if (first === '"') return parseString(parser);
  const number = match(parser, NUMBER);
  if (number !== undefined) {
    const value = Number(number);
    if (!Number.isFinite(value)) throw fault(parser, "a number that is too large");
    return value;
  }
  const literal = match(parser, LITERAL);
  if (literal === undefined) throw fault(parser, "an unexpected character");
  return literal === "null" ? null : literal === "true";
};

const parseString = (parser: Parser): string => {
  const end = endOfString(parser);
  const value = unquoted(parser.text.slice(parser.at, end));
  if (value === undefined) throw fault(parser, "an ill-formed string");
  if (!value.isWellFormed()) throw fault(parser, "a lone surrogate");
  parser.at = end;
  return value;
};

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The place after the closing quote. A scan: a regular expression with alternatives runs out of stack on long strings. */
const endOfString = ({ text, at }: Parser): number => {
  let end = at + 1;
  while (end < text.length && text.charCodeAt(end) !== QUOTE) {
    end += text.charCodeAt(end) === BACKSLASH ? 2 : 1;
  }
  return end + 1;
};

/** What a quoted string says. `JSON.parse` refuses bad escapes, control characters and a missing quote (RFC 8259 §7). */
const unquoted = (quoted: string): string | undefined => {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return undefined;
  }
};

/** Reads `]` or `,` (and so on) after an item: true while there is another one. */
const another = (parser: Parser, close: string): boolean => {
  skipSpace(parser);
  const found = parser.text[parser.at];
  if (found !== "," && found !== close) throw fault(parser, "an unexpected character");
  parser.at += 1;
  return found === ",";
};

/** Steps over the opening bracket: true when the closing one follows at once. */
const isEmpty = (parser: Parser, close: string): boolean => {
  parser.at += 1;
  skipSpace(parser);
  if (parser.text[parser.at] !== close) return false;
  parser.at += 1;
  return true;
};

const parseArray = (parser: Parser, path: string, depth: number): JsonValue => {
  const items: JsonValue[] = [];
  if (isEmpty(parser, "]")) return items;
  do items.push(parseValue(parser, `${path}/${items.length}`, depth));
  while (another(parser, "]"));
  return items;
};

const parseObject = (parser: Parser, path: string, depth: number): JsonValue => {
  const members: Record<string, JsonValue> = Object.create(null);
  if (isEmpty(parser, "}")) return members;
  do {
    skipSpace(parser);
    if (parser.text[parser.at] !== '"') throw fault(parser, "an unexpected character");
    const key = parseString(parser);
    // RFC 6901: the path of a member as others write it.
    const memberPath = `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
    if (key in members) {
      throw new CryptoError(
        "ERR_MALFORMED_ENVELOPE",
        `JSON has the key ${JSON.stringify(shortened(memberPath))} twice`,
      );
    }
    skipSpace(parser);
    if (parser.text[parser.at] !== ":") throw fault(parser, "an unexpected character");
    parser.at += 1;
    members[key] = parseValue(parser, memberPath, depth);
  } while (another(parser, "}"));
  return members;
};

const shortened = (path: string): string =>
  path.length <= MAX_SHOWN_PATH ? path : `${path.slice(0, MAX_SHOWN_PATH)}…`;
