import { CryptoError } from "@lango/crypto-core";

/** A byte string or a list of items. */
export type RlpItem = Uint8Array | readonly RlpItem[];

/** Lists within lists; transactions need four. */
const MAX_DEPTH = 8;

/**
 * Decodes one item of Recursive Length Prefix (Ethereum yellow paper, appendix B), in its only canonical form: what two
 * readers could take for different things is refused.
 *
 * @throws {@link CryptoError} `ERR_INVALID_ARGUMENT` for anything else, and for bytes after the item.
 */
export const decodeRlp = (bytes: Uint8Array): RlpItem => {
  const { item, end } = readItem(bytes, 0, bytes.length, 0);
  if (end !== bytes.length) throw invalid("bytes after its end");
  return item;
};

interface Read {
  readonly item: RlpItem;
  readonly end: number;
}

const readItem = (bytes: Uint8Array, start: number, limit: number, depth: number): Read => {
  const first = bytes[start];
  if (first === undefined) throw invalid("an item that is cut off");
  if (first < 0x80) return { item: bytes.subarray(start, start + 1), end: start + 1 };
  const isList = first >= 0xc0;
  const short = first - (isList ? 0xc0 : 0x80);
  const { from, length } =
    short <= 55 ? { from: start + 1, length: short } : longLength(bytes, start + 1, short - 55);
  const end = from + length;
  if (end > limit) throw invalid("an item that is cut off");
  if (isList) return { item: readList(bytes, from, end, depth + 1), end };
  if (length === 1 && (bytes[from] ?? 0) < 0x80) throw invalid("a byte with a needless prefix");
  return { item: bytes.subarray(from, end), end };
};

const readList = (bytes: Uint8Array, from: number, end: number, depth: number): RlpItem[] => {
  if (depth > MAX_DEPTH) throw invalid("too many lists within lists");
  const items: RlpItem[] = [];
  for (let at = from; at < end; ) {
    const read = readItem(bytes, at, end, depth);
    items.push(read.item);
    at = read.end;
  }
  return items;
};

const longLength = (
  bytes: Uint8Array,
  at: number,
  size: number,
): { from: number; length: number } => {
  let length = 0;
  for (const byte of bytes.subarray(at, at + size)) length = length * 256 + byte;
  // Also where the bytes end before the length does; a length beyond 2^53 is beyond the end as well.
  if (bytes[at] === 0 || length <= 55) throw invalid("a length that is not in its shortest form");
  return { from: at + size, length };
};

const invalid = (what: string): CryptoError =>
  new CryptoError("ERR_INVALID_ARGUMENT", `The transaction is no canonical RLP: ${what}`);
