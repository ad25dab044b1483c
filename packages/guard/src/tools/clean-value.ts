import { Readable } from "node:stream";
import { CryptoError, isBytes } from "@lango/crypto-core";
import { cleanError } from "./clean-error.ts";
import { cleanIterable, cleanReadable } from "./clean-streams.ts";
import { type FilterParts, filterBytes, filterText } from "./filter.ts";

const MAX_DEPTH = 256;

/** What is known while one value is cleaned. */
export interface Cleaning {
  readonly parts: FilterParts;
  /** Ends streams; absent where there is no call. */
  readonly signal?: AbortSignal | undefined;
  /** Objects that were seen, with their copies: what refers to itself does so in the copy. */
  readonly seen: Map<object, unknown>;
  readonly depth: number;
}

/**
 * A copy of any value with every secret in it masked: in texts, names of members, bytes, numbers, errors, and what streams
 * give. Objects come back as plain ones, since a class can keep things where nobody can look; functions and symbols as
 * nothing at all.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for what nests deeper than 256; whatever a getter throws.
 */
export const cleanValue = (value: unknown, cleaning: Cleaning): unknown => {
  const { parts } = cleaning;
  switch (typeof value) {
    case "string":
      return filterText(parts, value);
    case "number":
    case "bigint": {
      const text = String(value);
      const filtered = filterText(parts, text);
      return filtered === text ? value : filtered;
    }
    case "object":
      return value === null ? null : cleanObject(value, cleaning);
    case "boolean":
      return value;
    default:
      return undefined;
  }
};

const cleanObject = (value: object, cleaning: Cleaning): unknown => {
  const { parts, seen } = cleaning;
  if (seen.has(value)) return seen.get(value);
  if (isBytes(value)) return filterBytes(parts, value);
  if (ArrayBuffer.isView(value)) {
    return filterBytes(parts, new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  }
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) {
    return filterBytes(parts, new Uint8Array(value)).buffer;
  }
  // Its members would be its characters, one by one.
  if (value instanceof String) return filterText(parts, String.prototype.valueOf.call(value));
  if (value instanceof Date) return new Date(value);
  if (cleaning.depth >= MAX_DEPTH) {
    throw new CryptoError("ERR_INVALID_ARGUMENT", `The result nests deeper than ${MAX_DEPTH}`);
  }
  const inner = { ...cleaning, depth: cleaning.depth + 1 };
  if (value instanceof Error) return cleanError(value, inner);
  if (value instanceof ReadableStream) return cleanReadable(value, inner);
  if (value instanceof Readable) {
    // It may fail before anybody reads; the reader is told then.
    value.on("error", () => {});
    return Readable.from(cleanIterable(value, inner));
  }
  if (Symbol.asyncIterator in value) return cleanIterable(value as AsyncIterable<unknown>, inner);
  if (Array.isArray(value)) return cleanArray(value, inner);
  if (value instanceof Map || value instanceof Set) return cleanCollection(value, inner);
  // As JSON.stringify would: URLs and the like say themselves what they are.
  if ("toJSON" in value && typeof value.toJSON === "function") {
    return cleanValue(value.toJSON(), inner);
  }
  const copy: Record<string, unknown> = {};
  seen.set(value, copy);
  for (const [name, member] of Object.entries(value)) {
    define(copy, filterText(parts, name), cleanValue(member, inner));
  }
  return copy;
};

/** Bytes are also written as arrays of numbers, as by `Buffer.toJSON`: masked as bytes, such an array becomes a text. */
const cleanArray = (value: readonly unknown[], inner: Cleaning): unknown => {
  const isByteArray = value.length > 0 && value.every(isByte);
  if (isByteArray) {
    const { findings, output } = inner.parts.scanner.scan(Uint8Array.from(value as number[]));
    if (findings.length > 0) {
      for (const finding of findings) inner.parts.onFinding?.(finding);
      return new TextDecoder().decode(output);
    }
    return [...value];
  }
  const copy: unknown[] = [];
  inner.seen.set(value, copy);
  for (const item of value) copy.push(cleanValue(item, inner));
  return copy;
};

const isByte = (item: unknown): boolean =>
  typeof item === "number" && Number.isInteger(item) && item >= 0 && item <= 255;

const cleanCollection = (
  value: ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>,
  inner: Cleaning,
): unknown => {
  if (value instanceof Set) {
    const copy = new Set();
    inner.seen.set(value, copy);
    for (const item of value) copy.add(cleanValue(item, inner));
    return copy;
  }
  const copy = new Map();
  inner.seen.set(value, copy);
  for (const [key, item] of value as ReadonlyMap<unknown, unknown>) {
    copy.set(cleanValue(key, inner), cleanValue(item, inner));
  }
  return copy;
};

/** Defined and not assigned: a member named `__proto__` is one like the others. */
export const define = (target: object, name: string, value: unknown, enumerable = true): void => {
  Object.defineProperty(target, name, { value, enumerable, writable: true, configurable: true });
};
